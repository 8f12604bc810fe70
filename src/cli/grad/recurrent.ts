/** `seqgrad grad` of recurrent layers. */
import { FormatError } from '../../formats/errors.js';
import { recurrentGradients, recurrentShapes } from '../../inspect/recurrent.js';
import { wholeNumberIn } from '../../models/folder.js';
import { MAX_LAYERS, type RecurrentConfig, type RecurrentKind } from '../../nn/recurrent.js';
import { suggestion } from '../../program/options.js';
import type { GradientsOf } from './question.js';
import { checkValues, readTensors } from './tensors.js';

export const kinds: readonly RecurrentKind[] = ['lstm', 'gru', 'rnn'];

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

/** The layer stack a model.json describes. @throws FormatError naming the field. */
function configOf(config: Readonly<Record<string, unknown>>, path: string): RecurrentConfig {
  const expect = (name: string, expected: string, accepts: boolean): void => {
    if (!accepts)
      throw new FormatError(path, undefined, `\`${name}\` to be ${expected}`, JSON.stringify(config[name]) ?? 'none');
  };
  const kind = config.model_type as RecurrentKind;
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

export const gradientsOfRecurrent: GradientsOf = async ({
  config: json,
  configFile,
  tensorsFile,
  wide,
  ...options
}) => {
  const config = configOf(json, configFile);
  const { tensors } = await readTensors(tensorsFile, wide, (reader) => {
    const { shape } = reader.info('input.x');
    const [batch = 0, time = 0] = shape;
    if (shape.length !== 3)
      throw new FormatError(tensorsFile, 'input.x', `shape [B, T, ${config.inputSize}]`, `[${shape.join(', ')}]`);
    return { ...recurrentShapes(config, { batch, time }), integers: ['input.lengths'] };
  });
  const time = tensors.get('input.x')?.shape[1] as number;
  checkValues(
    tensorsFile,
    'input.lengths',
    tensors,
    `lengths from 0 to ${time}`,
    (length) => length >= 0 && length <= time,
  );
  return recurrentGradients(config, tensors, options);
};
