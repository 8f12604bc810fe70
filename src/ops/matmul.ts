/**
 * Matrix products, for one pair of matrices or a batch of pairs.
 *
 *     C = op(A) · op(B) + bias      op(X) = X or Xᵀ
 *     dA = dC · op(B)ᵀ, dB = op(A)ᵀ · dC (each transposed back if it came transposed), dbias = Σ over rows of dC
 */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call, type Sink } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { Dtype } from '../program/dtype.js';
import { sizeOf } from '../program/variable.js';
import { reshape } from './copy.js';
import { Lookup } from './embedding.js';
import { columnSum } from './reduce.js';

export interface MatmulOptions {
  /** Use Aᵀ (of the last two axes). */
  readonly transposeA?: boolean;
  /** Use Bᵀ. */
  readonly transposeB?: boolean;
  /** [N], added to every row. */
  readonly bias?: Tensor | undefined;
  /** What elements of A, B and dC are rounded to before they are multiplied; the graph's where absent. */
  readonly dtype?: Dtype;
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly batch: number;
  readonly strides: { readonly batch: number; readonly row: number; readonly column: number };
}

/** A dense [rows, columns] or [batch, rows, columns] tensor as a matrix, transposed or not. */
function matrix(argument: string, x: Tensor, transposed: boolean): Matrix {
  const rank = x.shape.length;
  if (rank !== 2 && rank !== 3)
    throw new ShapeError('matmul', argument, '[rows, columns] or [batch, rows, columns]', x);
  const [batch, height, width] = (rank === 2 ? [1, ...x.shape] : x.shape) as [number, number, number];
  return transposed
    ? { rows: width, columns: height, batch, strides: { batch: height * width, row: 1, column: width } }
    : { rows: height, columns: width, batch, strides: { batch: height * width, row: width, column: 1 } };
}

/**
 * C [(batch,) M, N] = op(A) [(batch,) M, K] · op(B) [(batch,) K, N] + bias [N].
 * @throws ShapeError if inner sizes, batches or the bias do not fit.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  return productOf(a, b, options);
}

/** op(A) · op(B); with `sum`, sum + product, in place where that is possible. */
export function productOf(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, bias, dtype = a.graph.dtype }: MatmulOptions,
  sum?: Tensor,
): Tensor {
  const left = matrix('a', a, transposeA);
  const right = matrix('b', b, transposeB);
  if (right.rows !== left.columns || right.batch !== left.batch || a.shape.length !== b.shape.length) {
    const batch = a.shape.length === 3 ? `${left.batch}, ` : '';
    const size = transposeB ? `[${batch}N, K = ${left.columns}]` : `[${batch}K = ${left.columns}, N]`;
    throw new ShapeError('matmul', 'b', size, b);
  }
  const [M, N, K] = [left.rows, right.columns, left.columns];
  matchShapes('matmul', { bias: [bias, [N]] });
  const shape = a.shape.length === 3 ? [left.batch, M, N] : [M, N];
  const dims = {
    batch: left.batch,
    M,
    N,
    K,
    aBatch: left.strides.batch,
    aRow: left.strides.row,
    aColumn: left.strides.column,
    bBatch: right.strides.batch,
    bRow: right.strides.row,
    bColumn: right.strides.column,
    cBatch: M * N,
    cRow: N,
    bfloat16: dtype === 'bfloat16' ? 1 : 0,
  };
  return a.graph.node({
    op: 'matmul',
    inputs: { a, b, bias },
    outputs: { c: { shape, initial: sum } },
    calls: ({ c }) => [
      sum === undefined
        ? call('matmul', { a, b, bias, c }, { ...dims, activation: 0 })
        : call('matmulAdd', { a, b, c }, dims),
    ],
    gradient: ({ c: dc }) => {
      if (dc === undefined) return { to: {} };
      const toA: Sink = (sum) =>
        transposeA
          ? productOf(b, dc, { transposeA: transposeB, transposeB: true, dtype }, sum)
          : productOf(dc, b, { transposeB: !transposeB, dtype }, sum);
      const toB: Sink = (sum) =>
        transposeB
          ? productOf(dc, a, { transposeA: true, transposeB: transposeA, dtype }, sum)
          : productOf(a, dc, { transposeA: !transposeA, dtype }, sum);
      return { to: { a: toA, b: toB, bias: columnSum(reshape(dc, [left.batch * M, N])) } };
    },
  }).c;
}

/**
 * y [..., out] = x [..., in] · Wᵀ + b, W [out, in] as PyTorch stores it.
 * @throws ShapeError
 */
export function linear(x: Tensor | Lookup, weight: Tensor, bias?: Tensor): Tensor {
  const [out, inputs] = weight.shape as [number, number];
  if (weight.shape.length !== 2) throw new ShapeError('linear', 'weight', '[out, in]', weight);
  if (x.shape.at(-1) !== inputs) throw new ShapeError('linear', 'x', `[…, ${inputs}] (weight ${weight})`, x);
  if (x instanceof Lookup) return x.map((rows) => linear(rows, weight, bias));
  const rows = reshape(x, [sizeOf(x.shape.slice(0, -1)), inputs]);
  return reshape(matmul(rows, weight, { transposeB: true, bias }), x.shape.with(-1, out));
}
