/**
 * Two time steps of an LSTM: every derivative on the way from the loss back to W_f, and ∂L/∂W_f as the sum of its terms at t = 1 and
 * t = 2. The derivation is in two-steps.md. Run as `node dist/examples/two-steps.js`.
 */
import { differentiate, Engine, Graph, loadBackend, ops, plan, type Tensor } from 'seqgrad';

const { add, concat, full, linear, matmul, mul, scale, sigmoid, subtract, sum, tanh } = ops;

const graph = new Graph();
const given: Record<string, number[]> = {};
function constant(name: string, ...rows: number[][]): Tensor {
  given[name] = rows.flat();
  return graph.input(name, [rows.length, rows[0]?.length ?? 0]);
}

// Two units, two inputs. Weights [H, H + I] multiply z_t = [h_{t−1}, x_t]; no biases.
const W_f = constant('W_f', [0.5, -0.3, 0.8, 0.2], [-0.6, 0.4, 0.1, 0.7]);
const W_i = constant('W_i', [0.3, 0.6, -0.4, 0.5], [0.2, -0.5, 0.9, -0.1]);
const W_g = constant('W_g', [-0.7, 0.2, 0.6, 0.4], [0.5, 0.3, -0.8, 0.6]);
const W_o = constant('W_o', [0.4, 0.1, 0.3, -0.6], [-0.2, 0.7, 0.5, 0.2]);
const [x1, x2] = [constant('x1', [1, 0.5]), constant('x2', [-0.5, 1])];
const h0 = constant('h0', [0.2, -0.4]);
const c0 = constant('c0', [0.6, -0.8]);
const y = constant('y', [0.5, -0.5]);

function step(x: Tensor, hBefore: Tensor, cBefore: Tensor) {
  const z = concat([hBefore, x], 1);
  const [a_f, a_i, a_g, a_o] = [linear(z, W_f), linear(z, W_i), linear(z, W_g), linear(z, W_o)];
  const [f, i, g, o] = [sigmoid(a_f), sigmoid(a_i), tanh(a_g), sigmoid(a_o)];
  const c = add(mul(f, cBefore), mul(i, g));
  const h = mul(o, tanh(c));
  return { z, a_f, a_i, a_g, a_o, f, i, g, o, c, h };
}
const one = step(x1, h0, c0);
const two = step(x2, one.h, one.c);
const error = subtract(two.h, y);
const L = scale(sum(mul(error, error)), 0.5);

// One sweep backwards gives ∂L/∂v for every v that is asked for.
const gradients = differentiate(graph, {
  from: new Map([[L, full(graph, [1], 1)]]),
  to: [W_f, ...Object.values(one), ...Object.values(two)],
});
const d = (v: Tensor): Tensor => gradients.get(v) as Tensor;
const term = ({ a_f, z }: typeof one): Tensor => matmul(d(a_f), z, { transposeA: true });

/** A line to print: a name, its formula in two-steps.md, and what the sweep gave. */
type Line = readonly [name: string, formula: string, value: Tensor];

/** The forward pass of a step; `n` is t and `b` the step before, as subscripts. */
const values = (n: string, b: string, { f, i, g, o, c, h }: typeof one): Line[] => [
  [`f${n}`, `σ(W_f z${n})`, f],
  [`i${n}`, `σ(W_i z${n})`, i],
  [`g${n}`, `tanh(W_g z${n})`, g],
  [`o${n}`, `σ(W_o z${n})`, o],
  [`c${n}`, `f${n} ⊙ c${b} + i${n} ⊙ g${n}`, c],
  [`h${n}`, `o${n} ⊙ tanh c${n}`, h],
];

/** The derivatives of a step in the order in which they are found, when those by h and c are known. */
const derivatives = (n: string, b: string, its: typeof one): Line[] => [
  [`∂L/∂o${n}`, `∂L/∂h${n} ⊙ tanh c${n}`, d(its.o)],
  [`∂L/∂f${n}`, `∂L/∂c${n} ⊙ c${b}`, d(its.f)],
  [`∂L/∂i${n}`, `∂L/∂c${n} ⊙ g${n}`, d(its.i)],
  [`∂L/∂g${n}`, `∂L/∂c${n} ⊙ i${n}`, d(its.g)],
  [`δo${n}`, `∂L/∂o${n} ⊙ o${n} ⊙ (1 − o${n})`, d(its.a_o)],
  [`δf${n}`, `∂L/∂f${n} ⊙ f${n} ⊙ (1 − f${n})`, d(its.a_f)],
  [`δi${n}`, `∂L/∂i${n} ⊙ i${n} ⊙ (1 − i${n})`, d(its.a_i)],
  [`δg${n}`, `∂L/∂g${n} ⊙ (1 − g${n}²)`, d(its.a_g)],
];

const sections: readonly (readonly [title: string, lines: readonly Line[]])[] = [
  ['Forward', [...values('₁', '₀', one), ...values('₂', '₁', two), ['L', '½ ‖h₂ − y‖²', L]]],
  [
    'Backward, t = 2: the boundary',
    [
      ['∂L/∂h₂', 'h₂ − y', d(two.h)],
      ['∂L/∂c₂', '∂L/∂h₂ ⊙ o₂ ⊙ (1 − tanh² c₂)', d(two.c)],
      ...derivatives('₂', '₁', two),
    ],
  ],
  [
    'Backward, t = 1',
    [
      ['∂L/∂h₁', 'W_fᵀ δf₂ + W_iᵀ δi₂ + W_gᵀ δg₂ + W_oᵀ δo₂', d(one.h)],
      ['∂L/∂c₁', '∂L/∂h₁ ⊙ o₁ ⊙ (1 − tanh² c₁) + ∂L/∂c₂ ⊙ f₂', d(one.c)],
      ...derivatives('₁', '₀', one),
    ],
  ],
];
const sums: readonly Line[] = [
  ['term of t = 2', 'δf₂ z₂ᵀ', term(two)],
  ['term of t = 1', 'δf₁ z₁ᵀ', term(one)],
  ['their sum', '', add(term(two), term(one))],
  ['∂L/∂W_f', 'by the sweep', d(W_f)],
];

for (const [name, , value] of [...sections.flatMap(([, lines]) => lines), ...sums]) graph.output(name, value);
const results = await new Engine(await loadBackend()).run(plan(graph), given);
/** Elements of a result, in columns. */
const columns = (name: string, from: number, to: number): string =>
  Array.from(results[name]?.slice(from, to) ?? [], (value) => value.toFixed(6).padStart(11)).join('');

for (const [title, lines] of sections) {
  console.log(`${title.padEnd(52)}     unit 1     unit 2`);
  for (const [name, formula] of lines) console.log(`  ${name.padEnd(9)}${formula.padEnd(41)}${columns(name, 0, 2)}`);
  console.log();
}
console.log(`${'∂L/∂W_f'.padEnd(30)}${['h 1', 'h 2', 'x 1', 'x 2'].map((column) => column.padStart(11)).join('')}`);
for (const [name, formula] of sums) {
  console.log(`  ${name.padEnd(15)}${formula.padEnd(13)}${columns(name, 0, 4)}   unit 1`);
  console.log(`${' '.repeat(30)}${columns(name, 4, 8)}   unit 2`);
}
