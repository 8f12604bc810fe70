/** Temporary folders, gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

export async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'seqgrad-test-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
