/**
 * No function is in the kernels of two instruction sets under one name: of two such copies the linker keeps one, and a processor may
 * lack what it was compiled for.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { absence, file } from './addon.js';

const folder = dirname(file);
const archives = absence === undefined ? readdirSync(folder).filter((name) => /^kernels_.*\.a$/.test(name)) : [];
const hasNm = spawnSync('nm', ['--version']).status === 0;

/** What others can link with: T and W of `nm` and all other capital letters, but what is undefined. */
function symbolsOf(archive: string): Set<string> {
  const { stdout } = spawnSync('nm', [join(folder, archive)], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const defined = stdout.matchAll(/^[0-9a-f]+ ([A-TV-Zu]) (\S+)$/gm);
  return new Set([...defined].map(([, , name]) => name as string));
}

if (archives.length > 1 && hasNm) {
  test('no name is in the kernels of two instruction sets', (t) => {
    const owners = new Map<string, string>();
    for (const archive of archives) {
      const symbols = symbolsOf(archive);
      t.true(symbols.size > 100, `${archive} has names`);
      for (const name of symbols) {
        t.is(owners.get(name), undefined, `${name} is also in ${archive}`);
        owners.set(name, archive);
      }
    }
  });
} else {
  const why = absence ?? (hasNm ? 'there are not two archives of kernels' : 'there is no nm');
  test.skip(`no name is in the kernels of two instruction sets (skipped: ${why})`, () => {});
}
