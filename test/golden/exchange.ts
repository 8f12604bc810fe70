/** Fixtures of `seqgrad grad`: what the command is given, and what must come out. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Command } from 'commander';
import { probeNative } from '../../src/backends/native.js';
import { probeWasm } from '../../src/backends/wasm-builds.js';
import { defineGrad } from '../../src/cli/grad.js';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { disagreements, type Tensors } from './compare.js';

const FIXTURES = 'test/golden';

/** The fixtures of some kinds. */
export const fixturesOf = (...kinds: readonly string[]): string[] =>
  kinds.flatMap((kind) => readdirSync(join(FIXTURES, kind)).map((name) => `${kind}/${name}`));

const scratch = mkdtempSync(join(tmpdir(), 'seqgrad-golden-'));

export interface Subject {
  readonly title: string;
  readonly flags: readonly string[];
  readonly tolerance: number;
}

export const single = (backend: string, isa: string, numerics = 'fast'): Subject => ({
  title: `${backend} ${isa} ${numerics}`,
  flags: ['--backend', backend, '--isa', isa, '--numerics', numerics],
  tolerance: 2e-5,
});

export const subjects = [single('reference', 'float32'), { ...single('reference', 'float64'), tolerance: 1e-9 }];
/** Backends that cannot be tried here. */
export const missing: { readonly title: string; readonly cause: string }[] = [];
for (const { isa, usable, cause } of probeNative()) {
  if (usable) subjects.push(single('native', isa));
  else missing.push({ title: isa === 'native' ? isa : `native ${isa}`, cause });
}
for (const { isa, usable } of probeNative('strict')) {
  if (usable) subjects.push(single('native', isa, 'strict'));
}
for (const { isa, cause } of await probeWasm({ shared: false })) {
  if (cause === undefined) subjects.push(single('wasm', isa));
  else missing.push({ title: `wasm ${isa}`, cause });
}
if (missing.every(({ title }) => title !== 'wasm wasm-simd')) subjects.push(single('wasm', 'wasm-simd', 'strict'));

test.after.always(() => rm(scratch, { recursive: true }));

/** Runs the command as a shell would, but in this process. */
async function grad(config: string, given: string, out: string, flags: readonly string[]): Promise<void> {
  const program = new Command().exitOverride();
  defineGrad(program);
  const args = ['grad', '--config', config, '--tensors', given, '--out', out, ...flags];
  await program.parseAsync(args, { from: 'user' });
}

async function readAll(path: string): Promise<Map<string, Float64Array>> {
  const reader = await SafetensorsReader.open(path);
  const tensors = new Map<string, Float64Array>();
  for (const { name, dtype } of reader.tensors.values()) {
    tensors.set(
      name,
      dtype === 'I64' ? Float64Array.from(await reader.readInt32(name)) : await reader.readFloat64(name),
    );
  }
  await reader.close();
  return tensors;
}

/** What does not agree with the fixture, tensor by tensor. */
export async function disagree(
  fixture: string,
  { title, flags, tolerance }: Subject,
  given?: string,
): Promise<string[]> {
  const folder = join(FIXTURES, fixture);
  const expected: Tensors = await readAll(join(folder, 'out.safetensors'));
  const inspected = [...expected.keys()].some((name) => name.startsWith('inspect.'));
  const out = join(scratch, `${fixture.replace('/', ' ')} ${title}.safetensors`);
  const input = given ?? join(folder, 'in.safetensors');
  await grad(join(folder, 'model.json'), input, out, inspected ? [...flags, '--inspect'] : flags);
  return disagreements(await readAll(out), expected, tolerance);
}

/** What does not agree when one number of what is given is another. */
export async function disagreeWith(
  fixture: string,
  subject: Subject,
  tensor: string,
  index: number,
): Promise<string[]> {
  const tensors: TensorToWrite[] = [];
  const reader = await SafetensorsReader.open(join(FIXTURES, fixture, 'in.safetensors'));
  for (const { name, shape, dtype } of reader.tensors.values()) {
    const isInteger = dtype.startsWith('I');
    const values = isInteger ? await reader.readInt32(name) : await reader.readFloat32(name);
    tensors.push({ name, dtype: isInteger ? 'I32' : 'F32', shape, values });
  }
  await reader.close();
  const values = tensors.find(({ name }) => name === tensor)?.values as Float32Array;
  values[index] = (values[index] as number) + 1e-2;
  const given = join(scratch, 'planted.safetensors');
  await writeSafetensors(given, tensors);
  return disagree(fixture, subject, given);
}

/** A test of every fixture on every backend. */
export function agreeEverywhere(fixtures: readonly string[]): void {
  for (const subject of subjects) {
    for (const fixture of fixtures) {
      test(`${fixture} agrees with PyTorch on ${subject.title}`, async (t) => {
        t.deepEqual(await disagree(fixture, subject), []);
      });
    }
  }
  for (const { title, cause } of missing) {
    test.skip(`gradients agree with PyTorch on ${title} (skipped: ${cause})`, () => {});
  }
}
