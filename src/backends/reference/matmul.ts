/**
 * Matrix products, a batch of them: c[M, N] = f(a[M, K] · b[K, N] (+ bias[N]) (+ residual[M, N])).
 *
 * Every transpose is a choice of strides, so the gradients are products too. For C = A·B and a gradient dC:
 *
 *     dA = dC · Bᵀ      dB = Aᵀ · dC      dbias = column sums of dC
 *
 * One sum over K, in double precision; executors in float32 cut it in blocks of 256. What follows it goes through c, as though
 * instructions of their own had done it.
 */
import { activations } from '../../program/instructions.js';
import { geluOf, geluTanhOf, rectified } from './elementwise.js';
import type { Definition, Tensor } from './tensor.js';

function dot(a: Tensor, b: Tensor, batch: number, row: number, column: number, K: number): number {
  let sum = 0;
  for (let k = 0; k < K; k++) sum += a.at(batch, row, k) * b.at(batch, k, column);
  return sum;
}

const functions: Readonly<Record<(typeof activations)[number], (x: number) => number>> = {
  none: (x) => x,
  relu: rectified,
  gelu: geluOf,
  geluTanh: geluTanhOf,
};

export const matmul: Definition<'matmul'> = ({ operands, dims: { batch, M, N, K, activation } }) => {
  const { a, b, bias, residual, preActivation, c } = operands;
  const f = functions[activations[activation] ?? 'none'];
  for (let matrix = 0; matrix < batch; matrix++) {
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) {
        c.set(dot(a, b, matrix, row, column, K) + (bias?.at(column) ?? 0), matrix, row, column);
        if (residual !== undefined) c.add(residual.at(matrix, row, column), matrix, row, column);
        preActivation?.set(c.at(matrix, row, column), matrix, row, column);
        c.set(f(c.at(matrix, row, column)), matrix, row, column);
      }
    }
  }
};

export const matmulAdd: Definition<'matmulAdd'> = ({ operands: { a, b, c }, dims: { batch, M, N, K } }) => {
  for (let matrix = 0; matrix < batch; matrix++) {
    for (let row = 0; row < M; row++) {
      for (let column = 0; column < N; column++) c.add(dot(a, b, matrix, row, column, K), matrix, row, column);
    }
  }
};
