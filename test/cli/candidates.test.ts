import test from 'ava';
import { checkBackend } from '../../src/cli/candidates.js';
import { sabotaged } from '../support/sabotage.js';

test('doctor does not call a backend usable that computes something else', async (t) => {
  await t.notThrowsAsync(checkBackend(sabotaged({})));
  const leavesOutTheBias = sabotaged({
    call: (call) =>
      call.instruction === 'matmul' ? { ...call, operands: { ...call.operands, bias: undefined } } : call,
  });
  await t.throwsAsync(checkBackend(leavesOutTheBias), { message: /^it computes .* where .* is right$/ });
  const makesNaN = sabotaged({
    memory: ({ floats }, { instruction, operands }) => {
      if (instruction === 'sum') floats[operands.y as number] = Number.NaN;
    },
  });
  await t.throwsAsync(checkBackend(makesNaN), { message: /^it computes NaN where/ });
});
