/** How many threads this process may really use, and why so many. */
import { builtin } from '../host/node.js';

export interface ThreadCount {
  readonly count: number;
  /** Such as `affinity, of 8 cores` or `cgroup quota 1.5 of 8 cores`. */
  readonly reason: string;
}

/** What limits the threads of a process. */
export interface ThreadLimits {
  /** Of the machine. */
  readonly cores: number;
  /** Cores that the scheduler lets this process run on. */
  readonly affinity: number;
  /** Cores' worth of time that a cgroup grants. */
  readonly quota: number | undefined;
}

/** As many as there are cores for: threads that have to share one wait for each other. */
export function threadsFor({ cores, affinity, quota = Number.POSITIVE_INFINITY }: ThreadLimits): ThreadCount {
  const granted = Math.max(1, Math.floor(quota));
  if (granted < affinity) return { count: granted, reason: `cgroup quota ${+quota.toFixed(2)} of ${cores} cores` };
  if (affinity < cores) return { count: affinity, reason: `affinity, of ${cores} cores` };
  return { count: cores, reason: cores === 1 ? 'the only core' : `all ${cores} cores` };
}

/** The threads asked for, or all that this process may use, but at most so many; `cause` stands in the way of more. */
export function threadsWithin(
  most: number,
  asked: number | undefined,
  cause = `${most} are the most there can be`,
): ThreadCount {
  const { count, reason } = asked === undefined ? usableThreads() : { count: asked, reason: 'as asked' };
  return count > most ? { count: most, reason: `not ${count}: ${cause}` } : { count, reason };
}

/** All that this process may use. */
export function usableThreads(): ThreadCount {
  const os = builtin('node:os');
  const fs = builtin('node:fs');
  if (os !== undefined && fs !== undefined) {
    const affinity = os.availableParallelism();
    const cores = Math.max(os.cpus().length, affinity);
    const quota = os.platform() === 'linux' ? cgroupQuota((path) => readText(fs, path)) : undefined;
    return threadsFor({ cores, affinity, quota });
  }
  const cores = globalThis.navigator?.hardwareConcurrency ?? 1;
  return { count: cores, reason: `${cores} cores, says the browser` };
}

function readText(fs: typeof import('node:fs'), path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** A folder and those around it, up to `/`. */
function* around(path: string): Generator<string> {
  for (let folder = path; folder !== '' && folder !== '/'; folder = folder.slice(0, folder.lastIndexOf('/')))
    yield folder;
  yield '';
}

/**
 * Cores' worth of time that the cgroups of this process grant: the least of all that it is in (Linux, cgroup-v2.rst on `cpu.max`,
 * sched-bwc.rst on `cpu.cfs_quota_us`). In a container the path may be the host's, which is not there; its own is then the root.
 */
export function cgroupQuota(read: (path: string) => string | undefined): number | undefined {
  let least: number | undefined;
  const note = (quota: string | undefined, period: string | undefined): void => {
    const cores = Number(quota) / Number(period);
    if (cores > 0 && Number.isFinite(cores)) least = Math.min(least ?? cores, cores);
  };
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    for (const folder of around(path)) {
      if (controllers === '') {
        const [quota, period] = (read(`/sys/fs/cgroup${folder}/cpu.max`) ?? '').trim().split(' ');
        note(quota, period);
      } else if (controllers.split(',').includes('cpu')) {
        const its = `/sys/fs/cgroup/cpu${folder}`;
        note(read(`${its}/cpu.cfs_quota_us`), read(`${its}/cpu.cfs_period_us`));
      }
    }
  }
  return least;
}
