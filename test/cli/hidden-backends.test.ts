import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { textOf } from '../train/text.js';
import { linesOf, runFile, temporaryFolder } from './run.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The package as it is installed where there is no compiler: without the addon, and on request without the WASM builds. */
async function installed(t: ExecutionContext, { wasm }: { wasm: boolean }): Promise<{ main: string; folder: string }> {
  const folder = await temporaryFolder(t);
  await cp(join(root, 'dist/src'), join(folder, 'dist/src'), { recursive: true });
  await mkdir(join(folder, 'dist/wasm'));
  if (wasm) await cp(join(root, 'dist/wasm'), join(folder, 'dist/wasm'), { recursive: true });
  await cp(join(root, 'package.json'), join(folder, 'package.json'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  await writeFile(join(folder, 'text.txt'), textOf(2000));
  return { main: join(folder, 'dist/src/cli/main.js'), folder };
}

const small = ['--hidden', '4', '--batch', '2', '--window', '8', '--steps', '2', '--sample', '0'];

test('without the addon, native is refused with the cause, and auto takes WASM and says why', async (t) => {
  const { main, folder } = await installed(t, { wasm: true });
  const train = ['train', 'lm', '--text', join(folder, 'text.txt'), '--out', join(folder, 'model'), ...small];
  const named = await runFile(main, [...train, '--backend', 'native']);
  t.is(named.code, 1);
  t.regex(named.stderr, /Expected backend native to load but\n {2}native: the addon has not been built/);
  t.notRegex(named.stderr, /^\s+at /m);
  const auto = await runFile(main, train);
  t.is(auto.code, 0, auto.stderr);
  const [first] = linesOf(auto.stdout) as [{ backend: { name: string; reason: string } }];
  t.is(first.backend.name, 'wasm');
  t.regex(first.backend.reason, /native: the addon has not been built/);
  t.is((await runFile(main, train, { SEQGRAD_BACKEND: 'native' })).code, 1, 'named in the environment');
});

test('without the addon, doctor tries the rest, says what stands in, and fails unless that was asked for', async (t) => {
  const { main } = await installed(t, { wasm: true });
  const { code, stdout } = await runFile(main, ['doctor']);
  t.is(code, 1);
  const [report] = linesOf(stdout) as [{ candidates: { backend: string; usable: boolean; cause: string }[] }];
  t.like(report, { backend: { name: 'wasm' } });
  const natives = report.candidates.filter(({ backend }) => backend === 'native');
  t.true(natives.length > 0 && natives.every(({ usable, cause }) => !usable && /has not been built/.test(cause)));
  t.is((await runFile(main, ['doctor', '--backend', 'wasm'])).code, 0);
});

test('without the addon and the WASM builds the reference trains, and says why', async (t) => {
  const { main, folder } = await installed(t, { wasm: false });
  const train = ['train', 'lm', '--text', join(folder, 'text.txt'), '--out', join(folder, 'model'), ...small];
  const auto = await runFile(main, train);
  t.is(auto.code, 0, auto.stderr);
  const [first] = linesOf(auto.stdout) as [{ backend: { name: string; reason: string } }];
  t.is(first.backend.name, 'reference');
  t.regex(first.backend.reason, /native: .*; wasm: .*cannot be read/);
  const { code, stderr } = await runFile(main, [...train, '--backend', 'wasm']);
  t.is(code, 1);
  t.regex(stderr, /wasm-relaxed: .*wasm-simd: /s);
});
