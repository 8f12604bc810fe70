/** Ops on symbolic tensors: what models and custom cells are written in. */
export { concat, full, reshape, slice, transpose } from './copy.js';
export { crossEntropy, IGNORED_LABEL } from './cross-entropy.js';
export { add, mul, relu, scale, scaleBy, sigmoid, tanh } from './elementwise.js';
export { embedding } from './embedding.js';
export { type LstmOptions, type LstmOutputs, type LstmWeights, lstm } from './lstm.js';
export { linear, type MatmulOptions, matmul } from './matmul.js';
export { dropout, normal, uniform } from './random.js';
export { squaredNorm, sum } from './reduce.js';
export { maskSteps } from './sequence.js';
