/**
 * Matrix products, a batch of them: c[M, N] = f(a[M, K] · b[K, N] (+ bias[N]) (+ residual[M, N])).
 *
 * Every transpose is a choice of strides, so the gradients are products too. For C = A·B and a gradient dC:
 *
 *     dA = dC · Bᵀ      dB = Aᵀ · dC      dbias = column sums of dC
 *
 * One sum over K, in double precision; executors in float32 cut it in blocks of 256. With `bfloat16` the factors are rounded first. What
 * follows the sum goes through c, as though instructions of their own had done it.
 */
import type { Call } from '../../program/encode.js';
import { activations } from '../../program/instructions.js';
import { toBfloat16 } from './bfloat16.js';
import { geluOf, geluTanhOf, rectified } from './elementwise.js';
import type { Definition, Tensor } from './tensor.js';

type Sizes = Call<Tensor, 'matmulAdd'>['dims'];

function dot(a: Tensor, b: Tensor, batch: number, row: number, column: number, { K, bfloat16 }: Sizes): number {
  const factor = bfloat16 === 0 ? (x: number) => x : toBfloat16;
  let sum = 0;
  for (let k = 0; k < K; k++) sum += factor(a.at(batch, row, k)) * factor(b.at(batch, k, column));
  return sum;
}

const functions: Readonly<Record<(typeof activations)[number], (x: number) => number>> = {
  none: (x) => x,
  relu: rectified,
  gelu: geluOf,
  geluTanh: geluTanhOf,
};

export const matmul: Definition<'matmul'> = ({ operands, dims }) => {
  const { batch, M, N, activation } = dims;
  const { a, b, bias, residual, preActivation, c } = operands;
  const f = functions[activations[activation] ?? 'none'];
  for (let matrix = 0; matrix < batch; matrix++) {
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) {
        c.set(dot(a, b, matrix, row, column, dims) + (bias?.at(column) ?? 0), matrix, row, column);
        if (residual !== undefined) c.add(residual.at(matrix, row, column), matrix, row, column);
        preActivation?.set(c.at(matrix, row, column), matrix, row, column);
        c.set(f(c.at(matrix, row, column)), matrix, row, column);
      }
    }
  }
};

export const matmulAdd: Definition<'matmulAdd'> = ({ operands: { a, b, c }, dims }) => {
  const { batch, M, N } = dims;
  for (let matrix = 0; matrix < batch; matrix++) {
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) c.add(dot(a, b, matrix, row, column, dims), matrix, row, column);
    }
  }
};
