import { checkShort, rowsOf } from './remembering.js';
import { onFast, runExample } from './run.js';

onFast(
  'remembering word 2 until word 200: an LSTM whose gates are set learns it, one whose are not does not',
  async (t, backend) => {
    t.timeout(60 * 60_000); // a minute or two on native, several on WASM; more on a busy machine
    const row = rowsOf(await runExample('remember', backend));
    checkShort(t, row);
    for (const T of [50, 100, 200]) {
      const learnt = (variant: string): number => row(variant, T).right.filter((percent) => percent >= 99).length;
      t.is(learnt('LSTM'), 0);
      t.true(learnt('LSTM, gates set') >= (T === 200 ? 2 : 3));
      t.true(row('LSTM', T).before < 1e-6);
      t.true(row('RNN', T).before < 1e-9);
      t.true(row('LSTM, gates set', T).before > 1e-2);
    }
  },
);
