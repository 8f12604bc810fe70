import test from 'ava';
import fc from 'fast-check';
import { evaluate, mapExpression, namesOf } from '../../src/program/expression.js';

const dims = { T: 3, B: 5, H: 7, n0: 2 };

for (const [expression, value] of [
  ['4', 4],
  ['H', 7],
  ['4 * H', 28],
  ['T + 1', 4],
  ['T + 2 * B', 13],
  ['(T + 2) * B', 25],
  ['(R + 63) / 64'.replace('R', 'H'), 70 / 64],
  ['B / 2 * 2', 5],
  ['n0*T*B', 30],
  ['((T))', 3],
] as const) {
  test(`${expression} = ${value} for T=3, B=5, H=7, n0=2`, (t) => {
    t.is(evaluate(expression, dims), value);
  });
}

test('products of 32-bit dimensions do not wrap around', (t) => {
  const most = 2 ** 31 - 1;
  t.is(evaluate('n * n * n', { n: most }), most * most * most);
});

test('names are listed as they occur', (t) => {
  t.deepEqual(namesOf('4 * (H + 64) * (H + n0)'), ['H', 'H', 'n0']);
});

test('an expression is rendered in another language by mapping integers and names', (t) => {
  const rendered = mapExpression(
    '4 * (H+64)',
    (digits) => `${digits}.0`,
    (name) => `d.${name}`,
  );
  t.is(rendered, '4.0 * ( d.H + 64.0 )');
});

test('an unknown dimension is named', (t) => {
  t.throws(() => evaluate('4 * X', dims), { instanceOf: ReferenceError, message: 'unknown dimension X in 4 * X' });
});

test('what is no expression is refused', (t) => {
  t.throws(() => evaluate('H - 1', dims), { instanceOf: SyntaxError });
  t.throws(() => namesOf('H % 2'), { instanceOf: SyntaxError });
});

interface Expression {
  readonly text: string;
  readonly value: number;
}

const { tree } = fc.letrec<{ tree: Expression; leaf: Expression; node: Expression }>((tie) => ({
  leaf: fc.oneof(
    fc.nat(50).map((value) => ({ text: `${value}`, value })),
    fc.constantFrom('T', 'B', 'H', 'n0').map((name) => ({ text: name, value: dims[name as keyof typeof dims] })),
  ),
  node: fc.record({ left: tie('tree'), right: tie('tree'), sum: fc.boolean() }).map(({ left, right, sum }) => ({
    text: sum ? `${left.text} + ${right.text}` : `(${left.text}) * (${right.text})`,
    value: sum ? left.value + right.value : left.value * right.value,
  })),
  tree: fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('node')),
}));

test('sums and products of anything have their value', (t) => {
  fc.assert(
    fc.property(tree, ({ text, value }) => t.is(evaluate(text, dims), value)),
    { numRuns: 200 },
  );
});
