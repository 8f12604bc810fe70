/**
 * Scaled dot-product attention of several heads (Vaswani et al. 2017), Q, K and V side by side as one projection gives them.
 * For query t of a head and the keys j that it sees:
 *
 *     s_j = q_t·k_j / √HS,   p = softmax(s),   y_t = Σ_j dropout(p)_j · v_j
 *
 * Backward, with dp_j = dropout(dy_t·v_j):
 *
 *     dv_j = Σ_t dropout(p)_j · dy_t
 *     ds_j = p_j · (dp_j − dy_t·y_t)
 *     dq_t = Σ_j ds_j · k_j / √HS,   dk_j = Σ_t ds_j · q_t / √HS
 *
 * Neither pass holds [T, T] numbers: forward keeps log Σ exp(s) of each query, and backward computes the probabilities from it
 * again (Dao et al. 2022). They are written out only where somebody inspects them.
 */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { randomWords } from '../program/scalars.js';
import { passOn, reshape, slice, transpose } from './copy.js';
import { refuseGradients } from './recurrence.js';

export interface AttentionOptions {
  /** NH; divides C. */
  readonly heads: number;
  /** [B, T] i32: nobody sees a key where it is 0. */
  readonly mask?: Tensor | undefined;
  /** A query sees keys up to its own position. Default false. */
  readonly causal?: boolean | undefined;
  /** Of the probabilities: each is 0 with probability `rate`, the others p / (1 − rate). Drawn again in backward, never kept. */
  readonly dropout?:
    | {
        readonly rate: number;
        /** The key and step, [3] i32. */
        readonly random: Tensor;
        /** A number that no other random tensor of the model uses. */
        readonly stream: number;
      }
    | undefined;
}

/**
 * y [B, T, C] of qkv [B, T, 3C]: in each row Q, K and V, and in each of them the elements of head 0, head 1, …. A query that sees no
 * key has y = 0 and no gradient. Can be inspected: `query`, `key`, `value` [B, NH, T, HS], `scores` (before the mask) and `probs` (before dropout, 0 where masked)
 * [B, NH, T, T].
 * @throws ShapeError
 */
export function attention(qkv: Tensor, { heads: NH, mask, causal = false, dropout }: AttentionOptions): Tensor {
  const { B, T, W } = matchShapes('attention', { qkv: [qkv, ['B', 'T', 'W']] });
  const HS = W / 3 / NH;
  if (!Number.isSafeInteger(HS)) {
    throw new ShapeError('attention', 'qkv', `[B, T, a multiple of 3 · ${NH} (heads)]`, qkv);
  }
  const random = dropout === undefined || dropout.rate === 0 ? undefined : dropout.random;
  matchShapes('attention', { mask: [mask, [B, T]], random: [random, [randomWords.length]] });
  for (const [name, tensor] of Object.entries({ mask, random })) {
    if (tensor !== undefined && tensor.type !== 'i32') throw new ShapeError('attention', name, 'of type i32', tensor);
  }
  const rate = dropout?.rate ?? 0;
  const dims = { B, T, NH, HS, causal: Number(causal), stream: dropout?.stream ?? 0 };
  const scalars = { rate, keepScale: 1 / (1 - rate) };
  const outputShape = [B, T, NH * HS];
  const pairs = { shape: [B, NH, T, T] };
  const { y, scores, probabilities } = qkv.graph.node({
    op: 'attention',
    inputs: { qkv },
    outputs: { y: { shape: outputShape }, logSumExp: { shape: [B, NH, T] }, scores: pairs, probabilities: pairs },
    calls: (out) => [call('attention', { qkv, mask, random, ...out }, dims, scalars)],
    gradient: ({ y: dy, ...others }, { y, logSumExp }) => {
      refuseGradients('attention', others, 'y');
      if (dy === undefined) return { to: {} };
      const operands = { qkv, y, dy, logSumExp };
      const { dqkv, dProbabilities, dScores } = qkv.graph.node({
        op: 'attentionBackward',
        inputs: operands,
        outputs: { dqkv: { shape: qkv.shape }, dProbabilities: pairs, dScores: pairs },
        calls: (out) => [call('attentionBackward', { ...operands, mask, random, ...out }, dims, scalars)],
      });
      return { to: { qkv: passOn(dqkv) }, total: { probabilities: dProbabilities, scores: dScores } };
    },
  });
  const { graph } = qkv;
  for (const [part, name] of ['query', 'key', 'value'].entries()) graph.probe(name, qkv, headsOf(NH, part));
  graph.probe('scores', scores);
  graph.probe('probs', probabilities);
  return y;
}

/** Q (0), K (1) or V (2) of qkv [B, T, 3C] as [B, NH, T, HS]. */
const headsOf =
  (NH: number, part: number) =>
  (qkv: Tensor): Tensor => {
    const [B = 0, T = 0, W = 0] = qkv.shape;
    const C = W / 3;
    const rows = slice(reshape(qkv, [B * T, W]), 1, part * C, (part + 1) * C);
    return transpose(reshape(rows, [B, T, NH, C / NH]), [0, 2, 1, 3]);
  };
