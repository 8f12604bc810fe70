/** Sequences of unequal length in one time-major tensor. */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { broadcastColumns, sumRows } from './broadcast.js';
import { computed, full, reshape } from './copy.js';
import { add, divide, relu } from './elementwise.js';

/** y[t][b] = x[t][b] where t < lengths[b], else 0, for x [T, B, C] and lengths [B] (i32). Gradient: dy, masked alike. */
export function maskSteps(x: Tensor, lengths: Tensor): Tensor {
  const { T, B, C } = matchShapes('maskSteps', { x: [x, ['T', 'B', 'C']], lengths: [lengths, ['B']] });
  return x.graph.node({
    op: 'maskSteps',
    inputs: { x },
    outputs: { y: { shape: x.shape } },
    calls: ({ y }) => [call('maskSteps', { x, lengths, y }, { T, B, C })],
    gradient: ({ y: dy }) => ({ to: { x: dy && computed(() => maskSteps(dy, lengths)) } }),
  }).y;
}

/** Flags [T, B] (i32): 1 where t < lengths[b], else 0. */
export function liveSteps(lengths: Tensor, T: number): Tensor {
  const { B } = matchShapes('liveSteps', { lengths: [lengths, ['B']] });
  return lengths.graph.node({
    op: 'liveSteps',
    inputs: { lengths },
    outputs: { y: { shape: [T, B], type: 'i32' } },
    calls: ({ y }) => [call('liveSteps', { lengths, y }, { T, B })],
  }).y;
}

/**
 * y[r] = a[r] where flags[r] ≠ 0, else b[r], for rows [R, C] and flags [R] (i32). One of the two may be left out and is 0 then. What is not
 * chosen is not read: a NaN there does not matter. Gradient: da = dy where the flag is set, db = dy where it is not, 0 elsewhere.
 * @throws ShapeError
 */
export function selectRows(flags: Tensor, a: Tensor | undefined, b: Tensor | undefined): Tensor {
  const { R, C } = matchShapes('selectRows', { a: [a, ['R', 'C']], b: [b, ['R', 'C']], flags: [flags, ['R']] });
  if (flags.type !== 'i32') throw new ShapeError('selectRows', 'flags', 'of type i32', flags);
  if (C === undefined) throw new ShapeError('selectRows', 'a', 'given, or `b`', 'neither');
  return flags.graph.node({
    op: 'selectRows',
    inputs: { a, b },
    outputs: { y: { shape: [R, C] } },
    calls: ({ y }) => [call('selectRows', { flags, a, b, y }, { R, C })],
    gradient: ({ y: dy }) => ({
      to: {
        a: dy && computed(() => selectRows(flags, dy, undefined)),
        b: dy && computed(() => selectRows(flags, undefined, dy)),
      },
    }),
  }).y;
}

/**
 * y [B, C] = the maximum over each row's steps of x [T, B, C], 0 for a row without steps; `lengths` [B] (i32), all T when absent.
 * Gradient: dy goes to the first step that has the maximum.
 * @throws ShapeError
 */
export function maxSteps(x: Tensor, lengths?: Tensor): Tensor {
  const { T, B, C } = matchShapes('maxSteps', { x: [x, ['T', 'B', 'C']], lengths: [lengths, ['B']] });
  return x.graph.node({
    op: 'maxSteps',
    inputs: { x },
    outputs: { y: { shape: [B, C] } },
    calls: ({ y }) => [call('maxSteps', { x, lengths, y }, { T, B, C })],
    gradient: ({ y: dy }, { y }) => ({ to: { x: dy && computed(() => maxStepsBackward(x, lengths, y, dy)) } }),
  }).y;
}

function maxStepsBackward(x: Tensor, lengths: Tensor | undefined, y: Tensor, dy: Tensor): Tensor {
  const [T, B, C] = x.shape as [number, number, number];
  return x.graph.node({
    op: 'maxStepsBackward',
    inputs: { x, y, dy },
    outputs: { dx: { shape: x.shape } },
    calls: ({ dx }) => [call('maxStepsBackward', { x, lengths, y, dy, dx }, { T, B, C })],
  }).dx;
}

/** y [B, C] = the mean over each row's steps of x [T, B, C], 0 for a row without steps. @throws ShapeError */
export function meanSteps(x: Tensor, lengths?: Tensor): Tensor {
  const { T, B, C } = matchShapes('meanSteps', { x: [x, ['T', 'B', 'C']], lengths: [lengths, ['B']] });
  const { graph } = x;
  const sumOverTime = (values: Tensor): Tensor => sumRows(reshape(values, [T, B * (values.shape[2] as number)]));
  const one = full(graph, [B], 1);
  const masked = (values: Tensor): Tensor => (lengths === undefined ? values : maskSteps(values, lengths));
  const steps = sumOverTime(masked(full(graph, [T, B, 1], 1)));
  const counted = add(one, relu(add(steps, full(graph, [B], -1)))); // at least 1
  return divide(reshape(sumOverTime(masked(x)), [B, C]), broadcastColumns(counted, C));
}
