/** `seqgrad grad`: gradients in and out as files, to check seqgrad against another framework. The format: docs/gradient-exchange.md. */
import type { Command } from 'commander';
import { FormatError } from '../formats/errors.js';
import { readJsonObject } from '../formats/json.js';
import { SafetensorsReader, writeSafetensors } from '../formats/safetensors.js';
import { type NamedArray, recurrentGradients, recurrentShapes } from '../inspect/recurrent.js';
import { wholeNumberIn } from '../models/folder.js';
import { MAX_LAYERS, type RecurrentConfig, type RecurrentKind } from '../nn/recurrent.js';
import { suggestion } from '../program/options.js';
import { type BackendFlags, backendFrom, required, withBackend } from './command.js';

interface Flags extends BackendFlags {
  config?: string;
  tensors?: string;
  out?: string;
  inspect?: boolean;
}

const KINDS: readonly RecurrentKind[] = ['lstm', 'gru', 'rnn'];

const KEYS = [
  'model_type',
  'input_size',
  'hidden_size',
  'num_layers',
  'bidirectional',
  'batch_first',
  'proj_size',
  'nonlinearity',
];

/** The layer stack a model.json describes. @throws FileError, FormatError naming the field. */
async function readConfig(path: string): Promise<RecurrentConfig> {
  const config = await readJsonObject(path);
  const expect = (name: string, expected: string, accepts: boolean): void => {
    if (!accepts)
      throw new FormatError(path, undefined, `\`${name}\` to be ${expected}`, JSON.stringify(config[name]) ?? 'none');
  };
  const kind = config.model_type as RecurrentKind;
  expect('model_type', '"lstm", "gru" or "rnn"', KINDS.includes(kind));
  for (const name of Object.keys(config)) {
    if (!KEYS.includes(name))
      throw new FormatError(path, undefined, `known fields${suggestion(name, KEYS)}`, `\`${name}\``);
  }
  const optional = (name: string, ...values: unknown[]): void =>
    expect(
      name,
      values.map((value) => JSON.stringify(value)).join(' or '),
      config[name] === undefined || values.includes(config[name]),
    );
  optional('bidirectional', true, false);
  optional('batch_first', true);
  optional('nonlinearity', ...(kind === 'rnn' ? ['tanh', 'relu'] : ['tanh']));
  const hiddenSize = wholeNumberIn(config, path, 'hidden_size');
  const { proj_size: projection = 0 } = config;
  const most = kind === 'lstm' ? hiddenSize - 1 : 0;
  expect(
    'proj_size',
    most === 0 ? '0' : `a whole number from 0 to ${most}`,
    Number.isInteger(projection) && (projection as number) >= 0 && (projection as number) <= most,
  );
  return {
    kind,
    inputSize: wholeNumberIn(config, path, 'input_size'),
    hiddenSize,
    layers: config.num_layers === undefined ? 1 : wholeNumberIn(config, path, 'num_layers', MAX_LAYERS),
    bidirectional: config.bidirectional === true,
    projectionSize: projection as number,
    ...(kind === 'rnn' && { nonlinearity: (config.nonlinearity ?? 'tanh') as 'tanh' | 'relu' }),
  };
}

/** The tensors of a file, each checked against the shape it must have. @throws FileError, FormatError naming file and tensor. */
async function readTensors(path: string, config: RecurrentConfig, wide: boolean): Promise<Map<string, NamedArray>> {
  const reader = await SafetensorsReader.open(path);
  try {
    const x = reader.info('input.x').shape;
    const [batch = 0, time = 0] = x;
    if (x.length !== 3)
      throw new FormatError(path, 'input.x', `shape [B, T, ${config.inputSize}]`, `[${x.join(', ')}]`);
    const { required, optional } = recurrentShapes(config, { batch, time });
    const known = new Map([...required, ...optional]);
    const arrays = new Map<string, NamedArray>();
    for (const name of reader.tensors.keys()) {
      if (!known.has(name))
        throw new FormatError(path, name, `a name of this model${suggestion(name, [...known.keys()])}`, 'another');
    }
    for (const [name, shape] of known) {
      if (optional.has(name) && !reader.tensors.has(name)) continue;
      const found = reader.info(name).shape;
      if (found.join() !== shape.join())
        throw new FormatError(path, name, `shape [${shape.join(', ')}]`, `[${found.join(', ')}]`);
      arrays.set(name, { shape, values: await readValues(reader, name, wide) });
    }
    checkLengths(path, arrays.get('input.lengths'), time);
    return arrays;
  } finally {
    await reader.close();
  }
}

async function readValues(reader: SafetensorsReader, name: string, wide: boolean): Promise<NamedArray['values']> {
  if (name === 'input.lengths') return reader.readInt32(name);
  const values = await (wide ? reader.readFloat64(name) : reader.readFloat32(name));
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new FormatError(reader.file, name, 'finite numbers', `${values[bad]} at element ${bad}`);
  return values;
}

function checkLengths(path: string, lengths: NamedArray | undefined, time: number): void {
  const bad = lengths?.values.findIndex((length) => length < 0 || length > time) ?? -1;
  if (bad >= 0)
    throw new FormatError(path, 'input.lengths', `lengths from 0 to ${time}`, `${lengths?.values[bad]} in row ${bad}`);
}

async function grad(flags: Flags): Promise<void> {
  const configFile = required(flags.config, '--config <file>');
  const tensorsFile = required(flags.tensors, '--tensors <file>');
  const out = required(flags.out, '--out <file>');
  const backend = await backendFrom(flags);
  const wide = backend.isa === 'float64';
  const config = await readConfig(configFile);
  const tensors = await readTensors(tensorsFile, config, wide);
  const results = await recurrentGradients(config, tensors, { backend, inspect: flags.inspect === true });
  const dtype = wide ? 'F64' : 'F32';
  await writeSafetensors(
    out,
    [...results].map(([name, { shape, values }]) => ({ name, dtype, shape, values })),
  );
}

export function defineGrad(program: Command): void {
  const command = program
    .command('grad')
    .description('outputs and gradients of a model, from and to safetensors files')
    .option('--config <file>', 'required: model.json: model_type, input_size, hidden_size, num_layers, bidirectional')
    .option('--tensors <file>', 'required: safetensors with parameters, inputs and upstream gradients')
    .option('--out <file>', 'required: safetensors to write')
    .option('--inspect', 'also every gate, cell and hidden state, and the gradient with respect to each')
    .action(grad);
  withBackend(command);
}
