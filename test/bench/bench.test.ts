/** What the benchmark promises: it counts the operations of the model's matrix products, and it times nothing that is wrong. */
import test from 'ava';
import { type Cell, cells, flopsOfStep, startTraining } from '../../bench/cells.js';
import { quantile, summarise } from '../../bench/statistics.js';
import { firstSteps, startVerified, WrongResultError } from '../../bench/verify.js';
import type { Backend } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { flopsOf } from '../../src/program/cost.js';
import { decode } from '../../src/program/encode.js';

const reference = referenceBackend({ isa: 'float32' });
const small: Cell = { name: 'small', hiddenSize: 8, batch: 3, time: 4, vocabularySize: 10 };

for (const cell of [...cells, small]) {
  test(`${cell.name}: the operations of a step are those of its matmul and lstm instructions`, async (t) => {
    const { trainer } = await startTraining(cell, reference);
    const { accumulate, update } = await trainer.programs(cell);
    const products = [...accumulate.calls, ...update.calls].filter(({ instruction }) =>
      /^(matmul|lstm)/.test(instruction),
    );
    t.is(
      products.reduce((sum, call) => sum + flopsOf(call), 0),
      flopsOfStep(cell),
    );
    t.true(products.length >= 9); // projection, recurrence and head, each forward once and backward twice, lstm's dx within
  });
}

/** The reference, but it leaves out the instruction at `skipped` of the program that has `marker` in it. */
function leavingOut(marker: string, skipped: number): Backend {
  return {
    ...reference,
    createExecutor() {
      const executor = reference.createExecutor();
      const { load } = executor;
      executor.load = async (words, dataElements) => {
        const program = await load.call(executor, words, dataElements);
        if (!decode(words).some(({ instruction }) => instruction === marker)) return program;
        const run = program.run.bind(program);
        program.run = async () => {
          await Promise.all([run(0, skipped), run(skipped + 1)]); // both are asked for before anything else is
        };
        return program;
      };
      return executor;
    },
  };
}

test('a backend that leaves out any one instruction of the step is not timed', async (t) => {
  const expected = await firstSteps(small, reference);
  await t.notThrowsAsync(startVerified(small, reference, expected));

  const { trainer } = await startTraining(small, reference);
  const { accumulate, update } = await trainer.programs(small);
  const programs = { softmaxCrossEntropy: accumulate, adamw: update };
  for (const [marker, { calls }] of Object.entries(programs)) {
    for (const [skipped, { instruction, label }] of calls.entries()) {
      const error = await startVerified(small, leavingOut(marker, skipped), expected).then(() => undefined, String);
      t.regex(error ?? 'timed', /WrongResultError|NonFiniteError/, `without ${instruction} of ${label}`);
    }
  }
});

test('a wrong number is named', async (t) => {
  const expected = await firstSteps(small, reference);
  const wrong = expected.map((step, index) =>
    index === 1 ? { ...step, gradientNorm: step.gradientNorm * 1.001 } : step,
  );
  const error = await t.throwsAsync(startVerified(small, reference, wrong), { instanceOf: WrongResultError });
  t.regex(error?.message ?? '', /step 2: gradientNorm is .* but the reference has/);
});

test('medians and quartiles are those of the ordered values', (t) => {
  t.is(quantile([3, 1, 2], 0.5), 2);
  t.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  t.is(quantile([5, 1, 4, 2, 3], 0.25), 2);
});

test('noise, drift and a saturated timer are reported', (t) => {
  const steady = [10, 10.1, 10.2];
  t.deepEqual(summarise([steady, steady], 0.001).doubts, []);
  t.regex(summarise([[10, 14, 18]], 0.001).doubts.join(), /half of the runs are 29 % of the median apart/);
  t.regex(summarise([steady, [20, 20, 20]], 0.001).doubts.join(), /rounds' medians are \d+ % apart/);
  t.regex(summarise([steady], 1).doubts.join(), /timer is saturated/);
});
