import { layout, numbers, onFast, outputOnPage, runExample } from './run.js';

const T = 20;
const SIZES = [5, 10, 20];

onFast(
  'truncated BPTT: no gradient reaches a word outside the window of the label, and only a whole window learns',
  async (t, backend) => {
    const output = await runExample('truncated', backend);
    t.is(layout(output), layout(await outputOnPage('truncated')));
    t.deepEqual(numbers(output, '‖∂L/∂x_t‖ before training, windows of'), SIZES);
    for (let word = 1; word <= T; word++) {
      const gradients = numbers(output, `  t = ${String(word).padStart(2)} `);
      const whole = gradients.at(-1) as number;
      t.true(whole > 0);
      for (const [index, size] of SIZES.entries()) {
        const gradient = gradients[index] as number;
        if (word <= T - size) t.is(gradient, 0, `windows of ${size}: word ${word} is in an earlier window`);
        // The same sums, rounded elsewhere, of which two digits are printed.
        else t.true(Math.abs(gradient / whole - 1) < 0.1, `windows of ${size}, word ${word}`);
      }
    }
    // The value does arrive, whatever the windows: the state is carried.
    for (const before of numbers(output, 'another word 2 changes a score at first by')) t.true(before > 1e-6);
    const losses = numbers(output, 'loss of the last 20 steps');
    const right = numbers(output, 'right');
    for (const index of [0, 1]) {
      t.true(Math.abs((losses[index] as number) - Math.log(4)) < 0.1, 'no better than a guess among four');
      t.true((right[index] as number) < 45);
    }
    t.true((losses[2] as number) < 0.05);
    t.true((right[2] as number) >= 99);
  },
);
