/** Sums over one axis of a matrix, and the rows and columns that are repeated along one: each is the other's gradient. */
import { matchShapes } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { AnyCall } from '../program/encode.js';
import { computed, full, passOn, reshape } from './copy.js';
import { matmul } from './matmul.js';
import { columnSum } from './reduce.js';

/** y [C] = Σ over rows of x [R, C]. Gradient: dx[r] = dy for every row. */
export function sumRows(x: Tensor): Tensor {
  const { R, C } = matchShapes('sumRows', { x: [x, ['R', 'C']] });
  return x.graph.node({
    op: 'sumRows',
    inputs: { x },
    outputs: { y: { shape: [C] } },
    calls: ({ y }) => [call('columnSum', { x, y }, { R, C })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => broadcastRows(dy, R)) } }),
  }).y;
}

/** y [R, C] whose every row is x [C]. Gradient: dx = Σ over rows of dy. */
export function broadcastRows(x: Tensor, R: number): Tensor {
  const { C } = matchShapes('broadcastRows', { x: [x, ['C']] });
  return x.graph.node({
    op: 'broadcastRows',
    inputs: { x },
    outputs: { y: { shape: [R, C] } },
    calls: ({ y }) => [repeated(x, y, [0, 1], R, C)],
    gradient: ({ y: dy }) => ({ to: { x: dy && columnSum(dy) } }),
  }).y;
}

/** y [R, C] = x + row [C] in every row. Gradient: dx = dy, drow = Σ over rows of dy. */
export function addToRows(x: Tensor, row: Tensor): Tensor {
  const { R, C } = matchShapes('addToRows', { x: [x, ['R', 'C']], row: [row, ['C']] });
  return x.graph.node({
    op: 'addToRows',
    inputs: { x, row },
    outputs: { y: { shape: [R, C], initial: x } },
    calls: ({ y }) => [
      call(
        'copyAdd',
        { x: row, y },
        { n0: 1, n1: 1, n2: R, n3: C, x0: 0, x1: 0, x2: 0, x3: 1, y0: 0, y1: 0, y2: C, y3: 1 },
      ),
    ],
    gradient: ({ y: dy }) => ({ to: { x: dy && passOn(dy), row: dy && columnSum(dy) } }),
  }).y;
}

/** y [R] = Σ over columns of x [R, C]. Gradient: dx[·][c] = dy for every column. */
export function sumColumns(x: Tensor): Tensor {
  const { R, C } = matchShapes('sumColumns', { x: [x, ['R', 'C']] });
  return reshape(matmul(x, full(x.graph, [C, 1], 1), { dtype: 'float32' }), [R]);
}

/** y [R, C] whose every column is x [R]. Gradient: dx = Σ over columns of dy. */
export function broadcastColumns(x: Tensor, C: number): Tensor {
  const { R } = matchShapes('broadcastColumns', { x: [x, ['R']] });
  return x.graph.node({
    op: 'broadcastColumns',
    inputs: { x },
    outputs: { y: { shape: [R, C] } },
    calls: ({ y }) => [repeated(x, y, [1, 0], R, C)],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => sumColumns(dy)) } }),
  }).y;
}

/** y [R, C] from x with strides of its own, one of them 0. */
const repeated = (
  x: Tensor,
  y: Tensor,
  [row, column]: readonly [number, number],
  R: number,
  C: number,
): AnyCall<Tensor> =>
  call('copy', { x, y }, { n0: 1, n1: 1, n2: R, n3: C, x0: 0, x1: 0, x2: row, x3: column, y0: 0, y1: 0, y2: C, y3: 1 });
