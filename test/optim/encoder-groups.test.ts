import test from 'ava';
import { type EncoderGroupOptions, encoderGroups } from '../../src/optim/encoder-groups.js';
import { segmentTable } from '../../src/optim/groups.js';
import { Arena } from '../../src/program/variable.js';

const layer = (index: number): string[] =>
  ['attention.self.query.weight', 'attention.self.query.bias', 'output.LayerNorm.weight', 'output.LayerNorm.bias'].map(
    (name) => `bert.encoder.layer.${index}.${name}`,
  );
const names = [
  'bert.embeddings.word_embeddings.weight',
  'bert.embeddings.LayerNorm.weight',
  ...layer(0),
  ...layer(1),
  ...layer(10),
  'bert.pooler.dense.weight',
  'classifier.weight',
  'classifier.bias',
];

/** By name: what the optimizer reads. */
function settings(options: EncoderGroupOptions): Map<string, { rate: number; decay: number; frozen: boolean }> {
  const arena = new Arena('parameters');
  for (const name of names) arena.add(name, [2]);
  const { segments, groups, frozen } = segmentTable(arena, encoderGroups(options)(names), 0.25);
  return new Map(
    names.map((name, row) => {
      const group = segments[4 * row + 2]!;
      return [name, { rate: groups[2 * group]!, decay: groups[2 * group + 1]!, frozen: frozen.has(name) }];
    }),
  );
}

test('biases and layer normalisations do not decay', (t) => {
  const undecayed = [...settings({})].filter(([, { decay }]) => decay === 0).map(([name]) => name);
  t.deepEqual(
    undecayed,
    names.filter((name) => /bias|LayerNorm/.test(name)),
  );
  t.true(
    [...settings({}).values()].every(({ rate, frozen, decay }) => rate === 1 && !frozen && [0, 0.25].includes(decay)),
  );
});

test('each layer learns more slowly than the one above it', (t) => {
  const rates = settings({ layerDecay: 0.5 });
  const rateOf = (name: string): number | undefined => rates.get(name)?.rate;
  t.is(rateOf('classifier.weight'), 1);
  t.is(rateOf('bert.pooler.dense.weight'), 1);
  t.is(rateOf(layer(10)[0]!), 0.5);
  t.is(rateOf(layer(1)[3]!), 0.5 ** 10);
  t.is(rateOf(layer(0)[0]!), 0.5 ** 11);
  t.is(rateOf('bert.embeddings.LayerNorm.weight'), 0.5 ** 12);
});

test('parts that are frozen', (t) => {
  const frozen = (freeze: string): string[] =>
    [...settings({ freeze })].filter(([, { frozen: its }]) => its).map(([name]) => name);
  t.deepEqual(frozen('embeddings'), names.slice(0, 2));
  t.deepEqual(frozen('1'), layer(1), 'layer 1, not 10');
  t.deepEqual(frozen(' embeddings, 0-1 ,pooler'), [
    ...names.slice(0, 2),
    ...layer(0),
    ...layer(1),
    'bert.pooler.dense.weight',
  ]);
});

test('bad options', (t) => {
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => settings(options), { message, code: 'ERR_SEQGRAD_OPTION' });
  };
  refused(
    { freeze: 'embedding' },
    /freeze: Expected embeddings, pooler or layers such as 0-5 but received "embedding"/,
  );
  refused({ freeze: '' }, /or layers such as 0-5 but received ""/);
  refused({ freeze: '3-11' }, /freeze: Expected layers from 0 to 10 but received "3-11"/);
  refused({ freeze: '4-2' }, /freeze: Expected layers in ascending order but received "4-2"/);
  refused({ layerDecay: 1.5 }, /`layerDecay` to be a number from 0 to below 1, or 1 but received 1\.5/);
  refused({ freeez: '0' }, /unknown option `freeez`: did you mean `freeze`/);
  const bare = names.filter((name) => name.startsWith('bert.'));
  t.throws(() => encoderGroups({ freeze: 'embeddings,0-10,pooler' })(bare), {
    message: 'freeze: Expected something left to train but received "embeddings,0-10,pooler"',
  });
  t.throws(() => encoderGroups({ freeze: '0' })(['lstm.weight']), { message: /Expected no layers but received "0"/ });
});
