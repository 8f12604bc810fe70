/** Gradients of `seqgrad grad` agree with PyTorch in float64 on every backend. The fixtures are made by make_recurrent.py. */
import test from 'ava';
import { agreeEverywhere, disagreeWith, fixturesOf, single } from './exchange.js';

agreeEverywhere(fixturesOf('lstm', 'gru', 'rnn'));

test('a planted fault is found: one recurrent weight that is another', async (t) => {
  const subject = single('reference', 'float32');
  const found = await disagreeWith('lstm/two-layers-bidirectional', subject, 'weight_hh_l0', 7);
  t.true(found.some((line) => line.startsWith('grad.weight_hh_l0: off by')));
});
