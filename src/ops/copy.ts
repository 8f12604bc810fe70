/**
 * Moving values: constants, views, and copies with strides.
 *
 * Everything here is linear, so each gradient is the transposed movement: a slice's gradient is added back where the slice came
 * from, a concatenation's gradient is sliced, a transpose's is transposed back.
 */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call, type Graph, type Sink } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import type { AnyCall } from '../program/encode.js';
import { sizeOf } from '../program/variable.js';

type Four = readonly [number, number, number, number];

/** One `copy` or `copyAdd` of a box of four axes. */
function move(instruction: 'copy' | 'copyAdd', x: Tensor, y: Tensor, n: Four, xs: Four, ys: Four): AnyCall<Tensor> {
  const dims = { n0: n[0], n1: n[1], n2: n[2], n3: n[3], x0: xs[0], x1: xs[1], x2: xs[2], x3: xs[3] };
  return call(instruction, { x, y }, { ...dims, y0: ys[0], y1: ys[1], y2: ys[2], y3: ys[3] });
}

/** Moves `rows` runs of `width` elements that start `xRow` and `yRow` elements apart. */
const moveRows = (
  instruction: 'copy' | 'copyAdd',
  { x, xRow }: { x: Tensor; xRow: number },
  { y, yRow }: { y: Tensor; yRow: number },
  rows: number,
  width: number,
): AnyCall<Tensor> => move(instruction, x, y, [1, 1, rows, width], [0, 0, xRow, 1], [0, 0, yRow, 1]);

/** A tensor whose every element is `value`. */
export function full(graph: Graph, shape: readonly number[], value: number): Tensor {
  return graph.node({
    op: 'full',
    inputs: {},
    outputs: { y: { shape, constant: value } },
    calls: ({ y }) => [call('fill', { y }, { n: y.elements }, { value })],
  }).y;
}

/** A tensor whose every element is that of x [1]. Not differentiated: it is the gradient of a sum. */
export function spread(x: Tensor, shape: readonly number[]): Tensor {
  if (x.constant !== undefined) return full(x.graph, shape, x.constant);
  return x.graph.node({
    op: 'spread',
    inputs: { x },
    outputs: { y: { shape } },
    calls: ({ y }) => [move('copy', x, y, [1, 1, 1, y.elements], [0, 0, 0, 0], [0, 0, 0, 1])],
  }).y;
}

/** sum + x, where the sum of the gradients that arrive at one tensor grows in place. */
export function accumulate(sum: Tensor, x: Tensor): Tensor {
  return sum.graph.node({
    op: 'accumulate',
    inputs: { sum, x },
    outputs: { y: { shape: sum.shape, initial: sum } },
    calls: ({ y }) => [moveRows('copyAdd', { x, xRow: 0 }, { y, yRow: 0 }, 1, x.elements)],
  }).y;
}

/** A sink for a gradient that has been computed already. */
export const passOn =
  (gradient: Tensor): Sink =>
  (sum) =>
    sum === undefined ? gradient : accumulate(sum, gradient);

/** A sink for a gradient that is computed when it is needed. */
export const computed =
  (gradient: () => Tensor): Sink =>
  (sum) =>
    passOn(gradient())(sum);

/** The same elements in another shape; free. Gradient: dx = dy in the old shape. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== x.elements) throw new ShapeError('reshape', 'x', `of ${sizeOf(shape)} elements`, x);
  return x.graph.view('reshape', x, 0, shape, ({ y: dy }) => ({ to: { x: dy && passOn(reshape(dy, x.shape)) } }));
}

/**
 * x[…, from … to−1, …] along one axis; free along the first axis, else a copy.
 * Gradient: dx = dy at those positions, 0 elsewhere.
 */
export function slice(x: Tensor, axis: number, from: number, to: number): Tensor {
  const size = x.shape[axis];
  if (size === undefined) throw new ShapeError('slice', 'x', `a tensor that has axis ${axis}`, x);
  if (!(0 <= from && from <= to && to <= size)) {
    throw new ShapeError('slice', 'from … to', `within 0 … ${size}`, `${from} … ${to}`);
  }
  const shape = x.shape.with(axis, to - from);
  const outer = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  const whole = { start: from * inner, row: size * inner };
  const width = (to - from) * inner;
  /** sum + dy at the sliced positions. */
  const addBack = (sum: Tensor, dy: Tensor): Tensor =>
    sum.graph.node({
      op: 'slice',
      inputs: { sum, dy },
      outputs: { y: { shape: x.shape, initial: sum } },
      calls: ({ y }) => [
        moveRows('copyAdd', { x: dy, xRow: width }, { y: y.from(whole.start), yRow: whole.row }, outer, width),
      ],
    }).y;
  const gradient = ({ y: dy }: Readonly<Record<string, Tensor | undefined>>) => ({
    to: { x: dy && ((sum?: Tensor) => addBack(sum ?? full(x.graph, x.shape, 0), dy)) },
  });
  if (outer === 1) return x.graph.view('slice', x, whole.start, shape, gradient);
  return x.graph.node({
    op: 'slice',
    inputs: { x },
    outputs: { y: { shape, type: x.type } },
    calls: ({ y }) => [moveRows('copy', { x: x.from(whole.start), xRow: whole.row }, { y, yRow: width }, outer, width)],
    gradient,
  }).y;
}

/** Tensors side by side along one axis. Gradient: each part's slice of dy. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  const size = first?.shape[axis];
  if (first === undefined || size === undefined)
    throw new ShapeError('concat', 'parts', `tensors that have axis ${axis}`, 'none');
  for (const [index, part] of parts.entries()) {
    matchShapes('concat', { [`parts[${index}]`]: [part, first.shape.with(axis, part.shape[axis] ?? 0)] });
  }
  const outer = sizeOf(first.shape.slice(0, axis));
  const inner = sizeOf(first.shape.slice(axis + 1));
  const starts: number[] = [];
  let total = 0;
  for (const part of parts) {
    starts.push(total);
    total += part.shape[axis] as number;
  }
  return first.graph.node({
    op: 'concat',
    inputs: Object.fromEntries(parts.map((part, index) => [index, part])),
    outputs: { y: { shape: first.shape.with(axis, total), type: first.type } },
    calls: ({ y }) =>
      parts.map((x, index) => {
        const width = (x.shape[axis] as number) * inner;
        const at = y.from((starts[index] as number) * inner);
        return moveRows('copy', { x, xRow: width }, { y: at, yRow: total * inner }, outer, width);
      }),
    gradient: ({ y: dy }) => ({
      to: Object.fromEntries(
        parts.map((part, index) => {
          const start = starts[index] as number;
          return [index, dy && computed(() => slice(dy, axis, start, start + (part.shape[axis] as number)))];
        }),
      ),
    }),
  }).y;
}

/** Axes in another order, for up to four axes. Gradient: dx = dy with the axes back in place. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  const rank = x.shape.length;
  if (rank > 4 || order.length !== rank || !x.shape.every((_, axis) => order.includes(axis))) {
    throw new ShapeError('transpose', 'order', `the axes of ${x} in some order (up to four)`, order);
  }
  const shape = order.map((axis) => x.shape[axis] as number);
  const four = (values: readonly number[], pad: number): Four => {
    const at = (axis: number): number => values[axis - (4 - rank)] ?? pad;
    return [at(0), at(1), at(2), at(3)];
  };
  const strideOf = (sizes: readonly number[], axis: number): number => sizeOf(sizes.slice(axis + 1));
  return x.graph.node({
    op: 'transpose',
    inputs: { x },
    outputs: { y: { shape, type: x.type } },
    calls: ({ y }) => [
      move(
        'copy',
        x,
        y,
        four(shape, 1),
        four(
          order.map((axis) => strideOf(x.shape, axis)),
          0,
        ),
        four(
          shape.map((_, axis) => strideOf(shape, axis)),
          0,
        ),
      ),
    ],
    gradient: ({ y: dy }) => ({
      to: {
        x:
          dy &&
          computed(() =>
            transpose(
              dy,
              order.map((_, axis) => order.indexOf(axis)),
            ),
          ),
      },
    }),
  }).y;
}
