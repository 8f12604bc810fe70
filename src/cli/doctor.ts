/** `seqgrad doctor`: what was tried, what was chosen, and why. */
import { cpus, totalmem } from 'node:os';
import type { Command } from 'commander';
import { type Backend, HEAP_LIMIT_BYTES, type Numerics } from '../backends/executor.js';
import { bestBackend } from '../backends/select.js';
import { usableThreads } from '../backends/threads.js';
import { fingerprint } from '../program/encode.js';
import { OptionError } from '../program/options.js';
import { type Candidate, checkBackend, nameOfCandidate, tryAll } from './candidates.js';
import { type BackendFlags, backendFrom, backendOptions, bfloat16Text, nameOf, withBackend } from './command.js';
import { packageVersion } from './package.js';
import { formatBytes } from './report.js';

interface Flags extends BackendFlags {
  json?: boolean;
}

/** The backend that training would take now. @throws OptionError; what stands in the way is returned. */
async function choose(flags: BackendFlags): Promise<Backend | Error> {
  try {
    const backend = await backendFrom(flags);
    await checkBackend(backend);
    return backend;
  } catch (error) {
    if (error instanceof OptionError || !(error instanceof Error)) throw error;
    return error;
  }
}

function describeMachine() {
  const { count, reason } = usableThreads();
  const limit = process.constrainedMemory();
  return {
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    threads: count,
    threads_reason: reason,
    memory_bytes: totalmem(),
    /** Of the cgroup; null where it grants all. */
    memory_limit_bytes: limit > 0 && limit < totalmem() ? limit : null,
    heap_limit_bytes: HEAP_LIMIT_BYTES,
  };
}

async function doctor({ json, ...flags }: Flags): Promise<void> {
  const chosen = await choose(flags);
  const candidates = await tryAll(
    chosen instanceof Error ? (flags.numerics as Numerics | undefined) : chosen.numerics,
    flags.threads,
  );
  const versions = {
    seqgrad: packageVersion(),
    node: process.version,
    v8: process.versions.v8,
    instruction_list: fingerprint,
  };
  const machine = describeMachine();
  if (chosen instanceof Error || chosen.name !== bestBackend(backendOptions(flags))) process.exitCode = 1;
  if (json === true || !process.stdout.isTTY) {
    const backend = chosen instanceof Error ? null : describe(chosen);
    const error = chosen instanceof Error ? chosen.message : undefined;
    process.stdout.write(`${JSON.stringify({ backend, error, candidates, machine, versions })}\n`);
    return;
  }
  const limit = machine.memory_limit_bytes;
  const lines = [
    `seqgrad ${versions.seqgrad}, Node ${versions.node} (V8 ${versions.v8}), instruction list ${versions.instruction_list}`,
    `${machine.cpu}, ${machine.platform}; threads: ${machine.threads} (${machine.threads_reason})`,
    `memory: ${formatBytes(machine.memory_bytes)}${limit === null ? '' : `, ${formatBytes(limit)} of it granted by the cgroup`}; ` +
      `at most ${formatBytes(machine.heap_limit_bytes)} for an engine`,
    '',
    ...candidates.map(line),
    '',
    chosen instanceof Error
      ? chosen.message
      : `chosen: ${nameOf(chosen)}, in ${chosen.place}, at most ${formatBytes(HEAP_LIMIT_BYTES)}\n  because: ${chosen.reason}\n` +
        `  products of bfloat16 numbers: ${bfloat16Text(chosen)}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function line(candidate: Candidate): string {
  const { backend, simd, usable, cause, threads, place } = candidate;
  const name = `  ${usable ? '✓' : '✗'} ${backend.padEnd(10)}${nameOfCandidate(candidate).padEnd(31)}${simd.padEnd(16)}`;
  const where = usable ? `${threads} thread${threads === 1 ? '' : 's'} in ${place}: ` : '';
  return `${name}${where}${cause}`;
}

const describe = ({ name, isa, numerics, threads, bfloat16, place, reason }: Backend): object => ({
  ...{ name, isa, numerics, threads, bfloat16, place, reason },
});

export function defineDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('what runs here and why: every backend that was tried, and the one chosen')
    .option('--json', 'one JSON object')
    .action(doctor);
  withBackend(command).addHelpText(
    'after',
    `
Exit code: 0 if the best backend runs, of all or of those asked for; 1 if it
does not, even where another one stands in for it.`,
  );
}
