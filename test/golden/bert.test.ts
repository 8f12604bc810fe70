/** The same for BERT; the fixtures are made by make_bert.py. */
import test from 'ava';
import { agreeEverywhere, disagreeWith, fixturesOf, single } from './exchange.js';

agreeEverywhere(fixturesOf('bert'));

test('a planted fault is found: one weight of a key that is another', async (t) => {
  const weight = 'bert.encoder.layer.0.attention.self.key.weight';
  const found = await disagreeWith('bert/classes', single('reference', 'float32'), weight, 7);
  t.true(found.some((line) => line.startsWith('inspect.layer.0.attention.probs: off by')));
  t.true(found.some((line) => line.startsWith('grad.bert.encoder.layer.0.attention.self.query.weight: off by')));
});
