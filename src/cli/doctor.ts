/** `seqgrad doctor`: what was tried, what was chosen, and why. */
import { cpus } from 'node:os';
import type { Command } from 'commander';
import type { Backend } from '../backends/executor.js';
import { probeNative } from '../backends/native.js';
import { nameOfBuild, probeWasm } from '../backends/wasm-builds.js';
import { fingerprint } from '../program/encode.js';
import { type BackendFlags, backendFrom, nameOf, withBackend } from './command.js';
import { packageVersion } from './package.js';

interface Flags extends BackendFlags {
  json?: boolean;
}

interface Candidate {
  readonly backend: string;
  readonly isa: string;
  readonly usable: boolean;
  readonly cause: string;
}

async function candidates(): Promise<Candidate[]> {
  const native = probeNative().map(({ isa, usable, cause }) => ({ backend: 'native', isa, usable, cause }));
  const wasm = (await probeWasm()).map(({ cause, ...build }) => ({
    backend: 'wasm',
    isa: nameOfBuild(build),
    usable: cause === undefined,
    cause: cause ?? 'this engine validates it',
  }));
  const reference = ['float32', 'float64'].map((isa) => ({
    backend: 'reference',
    isa,
    usable: true,
    cause: 'plain JavaScript: slow, for checks',
  }));
  return [...native, ...wasm, ...reference];
}

async function doctor({ json, ...flags }: Flags): Promise<void> {
  const tried = await candidates();
  const chosen = await backendFrom(flags).catch((error: Error) => error);
  const versions = {
    seqgrad: packageVersion(),
    node: process.version,
    v8: process.versions.v8,
    instruction_list: fingerprint,
  };
  const machine = {
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
  };
  if (chosen instanceof Error) process.exitCode = 1;
  if (json === true || !process.stdout.isTTY) {
    const backend = chosen instanceof Error ? null : describe(chosen);
    const error = chosen instanceof Error ? chosen.message : undefined;
    process.stdout.write(`${JSON.stringify({ backend, error, candidates: tried, machine, versions })}\n`);
    return;
  }
  const lines = [
    `seqgrad ${versions.seqgrad}, Node ${versions.node} (V8 ${versions.v8}), instruction list ${versions.instruction_list}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform}`,
    '',
    ...tried.map(
      ({ backend, isa, usable, cause }) => `  ${usable ? '✓' : '✗'} ${backend.padEnd(10)}${isa.padEnd(13)}${cause}`,
    ),
    '',
    chosen instanceof Error ? chosen.message : `chosen: ${nameOf(chosen)} (${chosen.reason})`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const describe = ({ name, isa, numerics, threads, reason }: Backend): object => ({
  name,
  isa,
  numerics,
  threads,
  reason,
});

export function defineDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('what runs here and why: every backend that was tried, and the one chosen')
    .option('--json', 'one JSON object')
    .action(doctor);
  withBackend(command);
}
