import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes what `tsc` once made of sources that are gone: a deleted test must not run any more. */
export async function prune(): Promise<void> {
  for (const folder of ['src', 'test', 'bench', 'examples']) {
    if (!existsSync(join('dist', folder))) continue;
    for (const path of await readdir(join('dist', folder), { recursive: true })) {
      const source = /^(.+?)(\.d\.ts|\.js|\.js\.map)$/.exec(path)?.[1];
      if (source === undefined || existsSync(join(folder, `${source}.ts`))) continue;
      await rm(join('dist', folder, path));
    }
  }
}
