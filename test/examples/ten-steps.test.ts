import { onEvery } from '../train/backends.js';
import { differences, near, numbers, outputOnPage, runExample } from './run.js';

const T = 10;

/** ∂h₁₀/∂h₂ of h_t = φ(h_{t−1} + sin t): the product of the slopes. */
function product(activation: (a: number) => number, slope: (h: number) => number): number {
  let [h, result] = [0, 1];
  for (let t = 1; t <= T; t++) {
    h = activation(h + Math.sin(t));
    if (t > 2) result *= slope(h);
  }
  return result;
}

onEvery('ten steps: the cell keeps word 2 and its gradient, the vanilla RNN loses both', async (t, backend) => {
  const output = await runExample('ten-steps', backend);
  const [open, leaky] = output.split('LSTM, f = 0.95') as [string, string];
  const c2 = Math.tanh(Math.sin(2)); // i₂ = 1, and nothing was there before
  for (const [f, part] of [
    [1, open],
    [0.95, leaky],
  ] as const) {
    const c10 = c2 * f ** 8;
    const gate = 1 - Math.tanh(c10) ** 2; // o₁₀ = 1
    for (let step = 1; step <= T; step++) {
      const [i, o] = [Number(step === 2), Number(step === T)];
      const cell = step < 2 ? 0 : c2 * f ** (step - 2);
      const gradient = gate * f ** (T - step);
      const printed = numbers(part, `${String(step).padStart(3)} `);
      t.true(
        near(printed, [i, f, Math.tanh(Math.sin(step)), o, cell, gradient], 1.5e-6),
        `f ${f}, t ${step}: ${printed}`,
      );
    }
    t.true(near(numbers(part, '  o₁₀ (1 − tanh² c₁₀)'), [gate], 1.5e-6));
    t.true(near(numbers(part, '  ∂L/∂c₂ divided by that'), [f ** 8], 1.5e-5));
    t.true(near(numbers(part, '  f⁸'), [f ** 8], 1e-5));
  }
  t.true(near(numbers(leaky, '  f⁸'), [0.663], 5e-4), 'the number of the lecture');

  const logistic = (a: number): number => 1 / (1 + Math.exp(-a));
  const [sigmoid, bound] = numbers(output, 'RNN, σ:     ∂h₁₀/∂h₂ =').filter((value) => value < 0.25) as [
    number,
    number,
  ];
  t.true(Math.abs(sigmoid / product(logistic, (h) => h * (1 - h)) - 1) < 5e-4, `${sigmoid}`); // four digits
  t.is(bound, 1.526e-5);
  t.true(sigmoid < bound);
  const [tanh] = numbers(output, 'RNN, tanh:  ∂h₁₀/∂h₂ =') as [number];
  t.true(Math.abs(tanh / product(Math.tanh, (h) => 1 - h * h) - 1) < 5e-4, `${tanh}`);
  t.deepEqual(differences(output, await outputOnPage('ten-steps')), []);
});
