import test from 'ava';
import { ShapeError } from '../../src/graph/errors.js';
import { Graph } from '../../src/graph/graph.js';
import { concat, reshape, slice, transpose } from '../../src/ops/copy.js';
import { crossEntropy } from '../../src/ops/cross-entropy.js';
import { add } from '../../src/ops/elementwise.js';
import { embedding } from '../../src/ops/embedding.js';
import { lstm } from '../../src/ops/lstm.js';
import { linear, matmul } from '../../src/ops/matmul.js';
import { maskSteps } from '../../src/ops/sequence.js';

const graph = new Graph();
let inputs = 0;
const of = (...shape: number[]) => graph.input(`${inputs++}`, shape);
const ids = (...shape: number[]) => graph.input(`${inputs++}`, shape, 'i32');

/** What does not fit, and what the message must say: the op, the argument, what was expected and what came. */
const misfits: readonly (readonly [title: string, trace: () => unknown, message: RegExp])[] = [
  ['add of unequal shapes', () => add(of(2, 3), of(3, 2)), /add: Expected `b` to be \[2, 3\] but received \[3, 2\]/],
  [
    'matmul of unequal inner sizes',
    () => matmul(of(2, 3), of(4, 5)),
    /matmul: Expected `b` to be \[K = 3, N\] but received \[4, 5\]/,
  ],
  ['matmul of unequal batches', () => matmul(of(2, 2, 3), of(3, 3, 5)), /matmul: Expected `b`.*\[3, 3, 5\]/],
  [
    'matmul with another bias',
    () => matmul(of(2, 3), of(3, 5), { bias: of(4) }),
    /matmul: Expected `bias` to be \[5\] but received \[4\]/,
  ],
  ['matmul of a vector', () => matmul(of(3), of(3, 5)), /matmul: Expected `a`.*\[3\]/],
  ['linear of another width', () => linear(of(2, 3), of(5, 4)), /linear: Expected `x` to be \[…, 4\].*\[2, 3\]/],
  [
    'reshape to another size',
    () => reshape(of(2, 3), [4]),
    /reshape: Expected `x` to be of 4 elements but received \[2, 3\]/,
  ],
  ['slice beyond the end', () => slice(of(2, 3), 1, 2, 4), /slice.*within 0 … 3 but received 2 … 4/],
  ['slice along no axis', () => slice(of(2, 3), 2, 0, 1), /slice.*axis 2.*\[2, 3\]/],
  ['concat of unequal sizes', () => concat([of(2, 3), of(3, 3)], 1), /concat: Expected `parts\[1\]`.*\[3, 3\]/],
  ['concat of nothing', () => concat([], 0), /concat.*none/],
  ['transpose by no order', () => transpose(of(2, 3), [0, 0]), /transpose: Expected `order`.*\[0, 0\]/],
  ['embedding by floats', () => embedding(of(4, 3), of(2)), /embedding: Expected `ids` to be of type i32/],
  ['labels as floats', () => crossEntropy(of(2, 3), of(2), of(1)), /crossEntropy: Expected `labels` to be of type i32/],
  [
    'labels of another number',
    () => crossEntropy(of(2, 3), ids(3), of(1)),
    /crossEntropy: Expected `labels` to be \[N = 2\].*\[3\] i32/,
  ],
  [
    'lengths of another batch',
    () => maskSteps(of(4, 2, 3), ids(3)),
    /maskSteps: Expected `lengths` to be \[B = 2\].*\[3\] i32/,
  ],
  [
    'a hidden weight that is not four squares',
    () => lstm(of(4, 2, 3), { inputWeight: of(20, 3), hiddenWeight: of(19, 5) }),
    /lstm: Expected `hiddenWeight` to be \[20, 5\].*\[19, 5\]/,
  ],
  [
    'an input weight of another width',
    () => lstm(of(4, 2, 3), { inputWeight: of(20, 4), hiddenWeight: of(20, 5) }),
    /lstm: Expected `inputWeight` to be \[20, 3\].*\[20, 4\]/,
  ],
  [
    'an initial state of another batch',
    () => lstm(of(4, 2, 3), { inputWeight: of(20, 3), hiddenWeight: of(20, 5) }, { h0: of(3, 5) }),
    /lstm: Expected `h0` to be \[2, 5\].*\[3, 5\]/,
  ],
  ['a negative size', () => of(-1), /whole numbers ≥ 0.*\[-1\]/],
  ['half an element', () => of(1.5), /whole numbers ≥ 0.*\[1\.5\]/],
];

for (const [title, trace, message] of misfits) {
  test(`${title} is refused by op, argument, expected and received shape`, (t) => {
    t.throws(trace, { instanceOf: ShapeError, message });
  });
}
