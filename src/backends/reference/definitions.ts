/** The definition of every instruction. One that is missing does not compile. */
import type { AnyCall } from '../../program/encode.js';
import type { InstructionName } from '../../program/instructions.js';
import { attention, attentionBackward } from './attention.js';
import { copy, copyAdd, copyIf, fill } from './copy.js';
import { softmaxCrossEntropy } from './cross-entropy.js';
import {
  add,
  div,
  gelu,
  geluBackward,
  geluTanh,
  geluTanhBackward,
  mul,
  relu,
  reluBackward,
  scale,
  scaleBy,
  sigmoid,
  sigmoidBackward,
  sqrt,
  tanh,
  tanhBackward,
} from './elementwise.js';
import { embedding, embeddingBackward } from './embedding.js';
import { gruBackward, gruForward } from './gru.js';
import { layerNorm, layerNormBackward } from './layer-norm.js';
import { lstmBackward, lstmForward } from './lstm.js';
import { matmul, matmulAdd } from './matmul.js';
import { adamw, clipByNorm, sgd } from './optimizer.js';
import { projectedLstmBackward, projectedLstmForward } from './projected-lstm.js';
import { dropout, philoxNormal, philoxUniform } from './random.js';
import { columnSum, columnSumAdd, squaredNorm, sum } from './reduce.js';
import { rnnBackward, rnnForward } from './rnn.js';
import { liveSteps, maskSteps, maxSteps, maxStepsBackward, selectRows } from './sequence.js';
import type { Definition, Tensor } from './tensor.js';

const definitions: { readonly [I in InstructionName]: Definition<I> } = {
  fill,
  copy,
  copyAdd,
  copyIf,
  add,
  mul,
  scale,
  scaleBy,
  sigmoid,
  sigmoidBackward,
  tanh,
  tanhBackward,
  relu,
  reluBackward,
  gelu,
  geluBackward,
  geluTanh,
  geluTanhBackward,
  matmul,
  matmulAdd,
  columnSum,
  columnSumAdd,
  sum,
  squaredNorm,
  embedding,
  embeddingBackward,
  maskSteps,
  lstmForward,
  lstmBackward,
  softmaxCrossEntropy,
  dropout,
  philoxUniform,
  philoxNormal,
  clipByNorm,
  sgd,
  adamw,
  layerNorm,
  layerNormBackward,
  attention,
  attentionBackward,
  div,
  sqrt,
  liveSteps,
  selectRows,
  maxSteps,
  maxStepsBackward,
  rnnForward,
  rnnBackward,
  gruForward,
  gruBackward,
  projectedLstmForward,
  projectedLstmBackward,
};

/** Executes one call. Its operands are those of its instruction: the decoder reads both from the same list. */
export function execute(call: AnyCall<Tensor>): void {
  const definition = definitions[call.instruction] as unknown as (call: AnyCall<Tensor>) => void;
  definition(call);
}
