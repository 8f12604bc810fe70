/**
 * Ten words, of which word 2 matters at word 10. An LSTM whose gates are set as a lecture draws them keeps c₂, and the gradient on its way
 * back; a vanilla RNN loses both. The derivation is in ten-steps.md. Run as `node dist/examples/ten-steps.js`.
 */
import {
  differentiate,
  Engine,
  Graph,
  loadBackend,
  type NamedArray,
  ops,
  plan,
  recurrentGradients,
  type Tensor,
} from 'seqgrad';

const T = 10;
const OPEN = 30; // σ(30) is 1 and σ(−30) is 0, but for 1e-13
const backend = await loadBackend();

const array = (shape: number[], values: number[]): NamedArray => ({ shape, values: Float64Array.from(values) });
/** One number for each word, from t = 1. */
const perWord = (value: (t: number) => number): number[] => Array.from({ length: T }, (_, index) => value(index + 1));
const oneHot = perWord((t) => t).flatMap((t) => perWord((s) => (s === t ? 1 : 0)));

/** One unit whose gates see only the word; with ∂L/∂h₁₀ = 1. */
async function lstm(forget: number) {
  const inputGate = perWord((t) => (t === 2 ? OPEN : -OPEN));
  const forgetGate = perWord(() => (forget === 1 ? OPEN : Math.log(forget / (1 - forget))));
  const candidate = perWord((t) => Math.sin(t)); // every word has something to say
  const outputGate = perWord((t) => (t === T ? OPEN : -OPEN));
  const given = new Map([
    ['input.x', array([1, T, T], oneHot)],
    ['weight_ih_l0', array([4, T], [...inputGate, ...forgetGate, ...candidate, ...outputGate])],
    ['weight_hh_l0', array([4, 1], [0.5, 0.5, 0.5, 0.5])],
    ['bias_ih_l0', array([4], [0, 0, 0, 0])],
    ['bias_hh_l0', array([4], [0, 0, 0, 0])],
    ['upstream.h_n', array([1, 1, 1], [1])],
  ]);
  const config = { kind: 'lstm', inputSize: T, hiddenSize: 1 } as const;
  const seen = await recurrentGradients(config, given, { backend, inspect: true });
  /** A value of the layer at step t. */
  return (name: string, t: number): number => seen.get(`inspect.${name}`)?.values[t - 1] ?? Number.NaN;
}

/** h_t = φ(h_{t−1} + x_t), one unit: ∂h₁₀/∂h₂. */
async function vanilla(activation: 'sigmoid' | 'tanh'): Promise<number> {
  const graph = new Graph();
  const x = graph.input('x', [T, 1, 1]);
  const cell: ops.Cell = (x_t, [h]) => [ops[activation](ops.add(x_t, h as Tensor))];
  const { states } = ops.unroll(cell, x, [ops.full(graph, [1, 1], 0)]);
  const h = (t: number): Tensor => states[t - 1]?.[0] as Tensor;
  const gradients = differentiate(graph, { from: new Map([[h(10), ops.full(graph, [1, 1], 1)]]), to: [h(2)] });
  graph.output('gradient', gradients.get(h(2)) as Tensor);
  const { gradient } = await new Engine(backend).run(plan(graph), { x: perWord((t) => Math.sin(t)) });
  return gradient?.[0] ?? Number.NaN;
}

for (const forget of [1, 0.95]) {
  const at = await lstm(forget);
  console.log(`LSTM, f = ${forget}`);
  console.log('  t        i_t       f_t       g_t       o_t       c_t    ∂L/∂c_t');
  for (const t of perWord((step) => step)) {
    const gates = ['input_gate', 'forget_gate', 'candidate', 'output_gate', 'cell'].map((name) => at(`l0.${name}`, t));
    const columns = [...gates, at('grad.l0.cell', t)].map((value) => value.toFixed(6).padStart(10));
    console.log(String(t).padStart(3), columns.join(''));
  }
  const gate = at('l0.output_gate', T) * (1 - Math.tanh(at('l0.cell', T)) ** 2);
  console.log(`  o₁₀ (1 − tanh² c₁₀)      ${gate.toFixed(6)}`);
  console.log(`  ∂L/∂c₂ divided by that   ${(at('grad.l0.cell', 2) / gate).toFixed(5)}`);
  console.log(`  f⁸                       ${(forget ** 8).toFixed(5)}\n`);
}
console.log(
  `RNN, σ:     ∂h₁₀/∂h₂ = ${(await vanilla('sigmoid')).toExponential(3)}   bound 0.25⁸ = ${(0.25 ** 8).toExponential(3)}`,
);
console.log(`RNN, tanh:  ∂h₁₀/∂h₂ = ${(await vanilla('tanh')).toExponential(3)}   bound 1`);
