/** The small BERT that PyTorch made, in folders that may be changed. */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import type { MaskedBatch } from '../../src/data/encoder-batch.js';
import { SafetensorsReader, type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import { folder } from './folder.js';

const FIXTURE = 'test/golden/bert-checkpoint';

export type Precision = 'F32' | 'F16' | 'BF16';
const weights: Readonly<Record<Precision, string>> = {
  F32: 'model.safetensors',
  F16: 'model.f16.safetensors',
  BF16: 'model.bf16.safetensors',
};

/** A folder with config.json and model.safetensors. */
export async function checkpointFolder(t: ExecutionContext, precision: Precision = 'F32'): Promise<string> {
  const path = await folder(t);
  await copyFile(join(FIXTURE, 'config.json'), join(path, 'config.json'));
  await copyFile(join(FIXTURE, weights[precision]), join(path, 'model.safetensors'));
  return path;
}

export type Tensors = Map<string, TensorToWrite>;

export async function readTensors(file: string): Promise<Tensors> {
  const reader = await SafetensorsReader.open(file);
  const tensors: Tensors = new Map();
  for (const [name, { shape }] of reader.tensors)
    tensors.set(name, { name, dtype: 'F32', shape, values: await reader.readFloat32(name) });
  await reader.close();
  return tensors;
}

/** The tensors under other names. */
export const renamed = (tensors: Tensors, rename: (name: string) => string): TensorToWrite[] =>
  [...tensors.values()].map((tensor) => ({ ...tensor, name: rename(tensor.name) }));

/** Replaces model.safetensors by what `change` makes of its tensors. */
export async function changeTensors(
  path: string,
  change: (tensors: Tensors) => readonly TensorToWrite[],
): Promise<void> {
  const file = join(path, 'model.safetensors');
  await writeSafetensors(file, change(await readTensors(file)));
}

export async function changeConfig(path: string, change: Readonly<Record<string, unknown>>): Promise<void> {
  const file = join(path, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
}

/** What PyTorch was given, all positions asked for, and the logits that it found with weights of a precision. */
export async function expectedLogits(precision: Precision): Promise<{ batch: MaskedBatch; logits: Float64Array }> {
  const reader = await SafetensorsReader.open(join(FIXTURE, 'expected.safetensors'));
  const [batch = 0, time = 0] = reader.info('input_ids').shape;
  const positions = Int32Array.from({ length: batch * time }, (_, index) => index);
  const found = {
    batch: {
      tokens: await reader.readInt32('input_ids'),
      types: await reader.readInt32('token_type_ids'),
      mask: await reader.readInt32('attention_mask'),
      positions,
      labels: positions,
      time,
      batch,
    },
    logits: await reader.readFloat64(`logits.${precision}`),
  };
  await reader.close();
  return found;
}

/** How far the logits of a folder are from PyTorch's, as a share of their size. */
export async function logitsError(path: string, backend: Backend, precision: Precision = 'F32'): Promise<number> {
  const { batch, logits } = await expectedLogits(precision);
  const model = await BertForMaskedLM.load(path, { backend });
  const found = await model.logits(batch);
  const norm = (values: readonly number[]): number => Math.hypot(...values);
  return norm(Array.from(found, (value, index) => value - (logits[index] as number))) / norm([...logits]);
}
