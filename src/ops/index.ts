/** Ops on symbolic tensors: what models and custom cells are written in. */
export { type AttentionOptions, attention } from './attention.js';
export { broadcastColumns, broadcastRows, sumColumns, sumRows } from './broadcast.js';
export {
  type CellWeights,
  gruCell,
  type LstmCellWeights,
  lstmCell,
  rnnCell,
  type Zoneout,
  zoneout,
} from './cells.js';
export { concat, full, reshape, slice, transpose } from './copy.js';
export { type CrossEntropyOptions, crossEntropy, IGNORED_LABEL } from './cross-entropy.js';
export {
  add,
  divide,
  divideBy,
  gelu,
  geluTanh,
  mul,
  relu,
  scale,
  scaleBy,
  sigmoid,
  sqrt,
  subtract,
  tanh,
} from './elementwise.js';
export { embedding } from './embedding.js';
export { type GruOptions, type GruOutputs, type GruWeights, gru } from './gru.js';
export { type LayerNormWeights, layerNorm } from './layer-norm.js';
export { type LstmOptions, type LstmOutputs, type LstmWeights, lstm } from './lstm.js';
export { linear, type MatmulOptions, matmul } from './matmul.js';
export { dropout, normal, uniform } from './random.js';
export type { SequenceOptions } from './recurrence.js';
export { squaredNorm, sum } from './reduce.js';
export { type RnnOptions, type RnnOutputs, type RnnWeights, rnn } from './rnn.js';
export { liveSteps, maskSteps, maxSteps, meanSteps, selectRows } from './sequence.js';
export { type Cell, type Unrolled, unroll } from './unroll.js';
