/** What the numbers were measured on. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly versions: { readonly node: string; readonly v8: string };
  /** With `+` where files have changed since; undefined without git. */
  readonly commit: string | undefined;
  /** Processes that wanted to run in the last minute. */
  readonly load: number;
}

function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

export function describeMachine(): Machine {
  const commit = git('rev-parse', '--short', 'HEAD');
  const isChanged = commit !== undefined && git('status', '--porcelain') !== '';
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    versions: { node: process.versions.node, v8: process.versions.v8 },
    commit: commit && `${commit}${isChanged ? '+' : ''}`,
    load: loadavg()[0] as number,
  };
}

/** More than this is other people's work. */
const QUIET_LOAD = 0.5;

export function machineLines({ cpu, cores, versions, commit, load }: Machine): string[] {
  const lines = [`${cpu}, ${cores} cores; Node ${versions.node}, V8 ${versions.v8}; commit ${commit ?? 'unknown'}`];
  if (load > QUIET_LOAD) lines.push(`other processes are running (load ${load.toFixed(1)}): times may be too long`);
  return lines;
}
