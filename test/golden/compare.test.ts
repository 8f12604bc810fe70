import test from 'ava';
import { disagreements, type Tensors } from './compare.js';

const tensors = (entries: Record<string, readonly number[]>): Tensors => new Map(Object.entries(entries));
const expected = tensors({
  'grad.weight': [3, -4],
  'grad.bias': [0, 0],
  'grad.input.x': [1e-6],
  'output.output': [1000],
});
const changed = (entries: Record<string, readonly number[]>): Tensors => new Map([...expected, ...tensors(entries)]);

test('equal tensors agree', (t) => {
  t.deepEqual(disagreements(expected, expected, 0), []);
});

test('an error up to the tolerance of the norm agrees, one above it does not', (t) => {
  t.deepEqual(disagreements(changed({ 'grad.weight': [3, -4 + 4.9e-5] }), expected, 1e-5), []);
  const [line, ...rest] = disagreements(changed({ 'grad.weight': [3, -4 + 5.1e-5] }), expected, 1e-5);
  t.regex(
    line ?? '',
    /^grad\.weight: off by 0\.0000\d* where 0\.00005\d* is allowed|^grad\.weight: off by 5\.\d*e-5 where/,
  );
  t.deepEqual(rest, []);
});

test('a gradient that is zero is measured against the largest of its kind', (t) => {
  // s = 5/√2, so 1e-2 · s · √2 = 0.05.
  t.deepEqual(disagreements(changed({ 'grad.bias': [4.9e-7, 0] }), expected, 1e-5), []);
  t.is(disagreements(changed({ 'grad.bias': [5.1e-7, 0] }), expected, 1e-5).length, 1);
});

test('kinds do not lend each other their scale', (t) => {
  t.is(disagreements(changed({ 'grad.input.x': [1.1e-6] }), expected, 1e-5).length, 1);
});

test('a NaN, an infinity, a missing, another and a longer tensor disagree', (t) => {
  t.is(disagreements(changed({ 'grad.bias': [0, Number.NaN] }), expected, 1).length, 1);
  t.is(disagreements(changed({ 'grad.bias': [0, Number.POSITIVE_INFINITY] }), expected, 1).length, 1);
  t.deepEqual(disagreements(changed({ 'grad.other': [0] }), expected, 1), ['grad.other: not expected']);
  t.deepEqual(disagreements(changed({ 'grad.bias': [0] }), expected, 1), ['grad.bias: 1 elements instead of 2']);
  t.deepEqual(disagreements(tensors({}), tensors({ x: [1] }), 1), ['x: missing']);
});
