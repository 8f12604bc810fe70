/** What a page has to load for `import 'seqgrad'` must load there: no module of Node, no package. */
import { readFile } from 'node:fs/promises';
import test from 'ava';

const specifiers = (code: string): string[] =>
  [...code.matchAll(/^(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]/gm)].map(
    ([, specifier]) => specifier as string,
  );

/** All files that an import of `entry` loads; imports of anything else are noted. */
async function reachableFrom(entry: URL): Promise<{ files: string[]; foreign: string[] }> {
  const files = new Set<string>();
  const foreign: string[] = [];
  const visit = async (file: URL): Promise<void> => {
    if (files.has(file.href)) return;
    files.add(file.href);
    for (const specifier of specifiers(await readFile(file, 'utf8'))) {
      if (specifier.startsWith('.')) await visit(new URL(specifier, file));
      else foreign.push(`${specifier} in ${file.pathname}`);
    }
  };
  await visit(entry);
  return { files: [...files], foreign };
}

for (const entry of ['index.js', 'backends/wasm-worker.js']) {
  test(`${entry} needs no module of Node and no package`, async (t) => {
    const { files, foreign } = await reachableFrom(new URL(`../../src/${entry}`, import.meta.url));
    t.deepEqual(foreign, []);
    t.true(files.length > 10, `${files.length} files`);
  });
}

test('an import of a module of Node is found', (t) => {
  const code = `import { a } from 'node:fs';\nimport b from './b.js';\nimport 'c';\nexport {\n  d,\n} from "./d.js";\nexport const e = 1;`;
  t.deepEqual(specifiers(code), ['node:fs', './b.js', 'c', './d.js']);
});
