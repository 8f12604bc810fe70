import test from 'ava';
import { loadBackend } from '../../src/backends/select.js';
import { cgroupQuota, threadsFor, threadsWithin } from '../../src/backends/threads.js';

const counted = test.macro({
  exec: (t, limits: Parameters<typeof threadsFor>[0], count: number, reason: string) =>
    t.deepEqual(threadsFor(limits), { count, reason }),
  title: (_, limits, count, reason) => `${JSON.stringify(limits)} are ${count} threads: ${reason}`,
});
test(counted, { cores: 8, affinity: 8, quota: undefined }, 8, 'all 8 cores');
test(counted, { cores: 1, affinity: 1, quota: undefined }, 1, 'the only core');
test(counted, { cores: 8, affinity: 2, quota: undefined }, 2, 'affinity, of 8 cores');
test(counted, { cores: 8, affinity: 8, quota: 1.5 }, 1, 'cgroup quota 1.5 of 8 cores');
test(counted, { cores: 8, affinity: 8, quota: 0.25 }, 1, 'cgroup quota 0.25 of 8 cores');
test(counted, { cores: 8, affinity: 4, quota: 3 }, 3, 'cgroup quota 3 of 8 cores');
test(counted, { cores: 8, affinity: 2, quota: 3 }, 2, 'affinity, of 8 cores');

const quota = test.macro({
  exec: (t, files: Readonly<Record<string, string>>, expected: number | undefined) =>
    t.is(
      cgroupQuota((path) => files[path]),
      expected,
    ),
  title: (title) => `cgroups: ${title}`,
});
test('no files at all', quota, {}, undefined);
test(
  'version 2, no limit',
  quota,
  { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' },
  undefined,
);
test('version 2', quota, { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, 1.5);
test(
  'version 2, the limit of an outer group holds too',
  quota,
  {
    '/proc/self/cgroup': '0::/a/b\n',
    '/sys/fs/cgroup/a/b/cpu.max': '400000 100000\n',
    '/sys/fs/cgroup/a/cpu.max': '200000 100000\n',
    '/sys/fs/cgroup/cpu.max': 'max 100000\n',
  },
  2,
);
test(
  'version 1',
  quota,
  {
    '/proc/self/cgroup': '3:cpu,cpuacct:/a\n1:name=systemd:/x\n0::/\n',
    '/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '50000\n',
    '/sys/fs/cgroup/cpu/a/cpu.cfs_period_us': '100000\n',
  },
  0.5,
);
test(
  'version 1 in a container: the path is the host’s, the root its own',
  quota,
  {
    '/proc/self/cgroup': '3:cpu,cpuacct:/docker/f00\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  },
  3,
);
test(
  'version 1, no limit',
  quota,
  {
    '/proc/self/cgroup': '3:cpu:/\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  },
  undefined,
);

test('what is asked for counts, even more than there are cores, up to what there can be', (t) => {
  t.deepEqual(threadsWithin(256, 8), { count: 8, reason: 'as asked' });
  t.deepEqual(threadsWithin(32, 64), { count: 32, reason: 'not 64: 32 are the most there can be' });
  t.deepEqual(threadsWithin(1, 2, 'there is no room'), { count: 1, reason: 'not 2: there is no room' });
  t.is(threadsWithin(1, undefined).count, 1);
});

test('a number of threads is a whole number from 1', async (t) => {
  for (const threads of [0, -1, 1.5, Number.NaN, 257, '2' as unknown as number]) {
    await t.throwsAsync(loadBackend({ backend: 'reference', threads }), {
      message: /Expected `threads` to be a whole number from 1 to 256 but received/,
    });
  }
  t.is((await loadBackend({ backend: 'reference', threads: 4 })).threads, 1, 'the reference has one');
});
