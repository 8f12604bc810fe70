/** What the numbers were measured on. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { fingerprint } from '../program/encode.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly versions: Readonly<Record<string, string | number>>;
  /** Processes that wanted to run in the last minute. */
  readonly load: number;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));

function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** Of the sources, with `+` where files have changed since; undefined for an installed package, whatever repository it is in. */
function commit(): string | undefined {
  if (!existsSync(`${root}.git`)) return undefined;
  const hash = git('rev-parse', '--short', 'HEAD');
  return hash && `${hash}${git('status', '--porcelain') === '' ? '' : '+'}`;
}

export function describeMachine(): Machine {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  const its = commit();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    platform: `${process.platform} ${process.arch}`,
    versions: {
      seqgrad: version,
      node: process.versions.node,
      v8: process.versions.v8,
      instruction_list: fingerprint,
      ...(its === undefined ? {} : { commit: its }),
    },
    load: loadavg()[0] as number,
  };
}

/** More than this is other people's work. */
const QUIET_LOAD = 0.5;

export function describeInLines({ cpu, cores, platform, versions, load }: Machine): string[] {
  const { seqgrad, node, commit } = versions;
  const built = commit === undefined ? '' : ` (${commit})`;
  const lines = [`${cpu}, ${cores} cores, ${platform}; seqgrad ${seqgrad}${built}, Node ${node}`];
  if (load > QUIET_LOAD) lines.push(`other processes are running (load ${load.toFixed(1)}): times may be too long`);
  return lines;
}
