import test from 'ava';
import type { MaskedBatch } from '../../src/data/encoder-batch.js';
import { IGNORED } from '../../src/data/ignored.js';
import { encodeDocuments } from '../../src/text/documents.js';
import { growingTrainingBatches, stagesBefore } from '../../src/text/growing-batches.js';
import { maskedEvaluationBatches, maskedTrainingBatches } from '../../src/text/masked-batches.js';
import { Masking } from '../../src/text/masking.js';
import { WordPieceTokenizer } from '../../src/text/tokenizer.js';
import { textOf } from '../train/text.js';

const tokenizer = await WordPieceTokenizer.learn([textOf(4000)], { size: 45 });
const { mask } = tokenizer.special;
const sequences = encodeDocuments(tokenizer, [textOf(40_000, 'much')], { maxLength: 64 });

test('15 % of the tokens are guessed: 80 % hidden, 10 % replaced, 10 % as they are', (t) => {
  const masking = new Masking(tokenizer);
  const total = { labels: 0, hidden: 0, same: 0, replaced: new Set<number>() };
  for (const [item, { tokens }] of sequences.entries()) {
    const seen = masking.apply(tokens, { seed: 1, turn: 0, item });
    t.is(seen.labels.length, Math.max(1, Math.round((tokens.length - 2) * 0.15)));
    for (const [index, position] of seen.positions.entries()) {
      const shown = seen.tokens[position]!;
      t.is(seen.labels[index], tokens[position]);
      t.false(tokenizer.isSpecial(tokens[position]!));
      total.labels++;
      if (shown === mask) total.hidden++;
      else if (shown === tokens[position]) total.same++;
      else total.replaced.add(shown);
    }
    const elsewhere = [...tokens.keys()].filter((position) => !seen.positions.includes(position));
    t.deepEqual(
      elsewhere.map((position) => seen.tokens[position]),
      elsewhere.map((position) => tokens[position]),
    );
  }
  // Three standard deviations of a share p of n: 3 √(p (1 − p) / n).
  const bound = (share: number): number => 3 * Math.sqrt((share * (1 - share)) / total.labels);
  t.true(total.labels > 2000, `${total.labels}`);
  t.true(Math.abs(total.hidden / total.labels - 0.8) < bound(0.8), `${total.hidden} of ${total.labels}`);
  const same = 0.1 + 0.1 / 40; // a token may be replaced by itself
  t.true(Math.abs(total.same / total.labels - same) < bound(same), `${total.same} of ${total.labels}`);
  t.true(total.replaced.size > 30 && [...total.replaced].every((token) => !tokenizer.isSpecial(token)));
});

test('seed, turn and item decide, and nothing else', (t) => {
  const masking = new Masking(tokenizer);
  const { tokens } = sequences[0]!;
  const of = (seed: number, turn: number, item: number) => masking.apply(tokens, { seed, turn, item });
  t.deepEqual(of(1, 2, 3), new Masking(tokenizer).apply(tokens, { seed: 1, turn: 2, item: 3 }));
  for (const other of [of(2, 2, 3), of(1, 3, 3), of(1, 2, 4)]) t.notDeepEqual(other, of(1, 2, 3));
});

test('whole words: all pieces of a word or none', (t) => {
  const masking = new Masking(tokenizer, { wholeWords: true });
  let longer = 0;
  let labels = 0;
  for (const [item, { tokens }] of sequences.entries()) {
    const { positions } = masking.apply(tokens, { seed: 1, turn: 0, item });
    const chosen = new Set(positions);
    labels += chosen.size;
    for (const [position, token] of tokens.entries()) {
      if (position === 0 || !tokenizer.goesOn(token) || tokenizer.isSpecial(tokens[position - 1]!)) continue;
      t.is(chosen.has(position), chosen.has(position - 1), `item ${item}, position ${position}`);
      longer += Number(chosen.has(position));
    }
  }
  t.true(longer > 500, 'there were words of several pieces');
  const text = sequences.reduce((sum, { tokens }) => sum + tokens.length - 2, 0);
  t.true(Math.abs(labels / text - 0.15) < 0.02, `${labels} of ${text}`);
  const single = new Masking(tokenizer).apply(sequences[0]!.tokens, { seed: 1, turn: 0, item: 0 });
  const splits = [...single.positions].some(
    (position) => tokenizer.goesOn(sequences[0]!.tokens[position]!) && !single.positions.includes(position - 1),
  );
  t.true(splits, 'without the option words are split');
});

test('a batch: rows below each other, labels of one length for one shape', (t) => {
  const masking = new Masking(tokenizer);
  const numbered = sequences.slice(0, 3).map((sequence, item) => ({ ...sequence, item }));
  const pass = { rows: 4, longest: 64, seed: 1, turn: 0 };
  const batch = masking.batch(numbered, pass);
  t.deepEqual([batch.batch, batch.time], [4, 64]);
  t.is(batch.positions.length, 4 * Math.round(62 * 0.15));
  const counted = [...batch.labels].filter((label) => label !== IGNORED).length;
  t.is(counted, 3 * Math.round(62 * 0.15), 'the empty row has none');
  for (const [index, label] of [...batch.labels.slice(0, counted)].entries()) {
    const position = batch.positions[index]!;
    t.is(label, numbered[Math.floor(position / 64)]!.tokens[position % 64]!);
  }
  t.is(masking.batch(numbered.slice(0, 1), pass).positions.length, batch.positions.length);
});

test('a sequence of one token is guessed, one of none is not', (t) => {
  const masking = new Masking(tokenizer);
  const at = { seed: 1, turn: 0, item: 0 };
  t.deepEqual([...masking.apply(tokenizer.encode('a').tokens, at).positions], [1]);
  t.is(masking.apply(tokenizer.encode('').tokens, at).positions.length, 0);
});

test('bad options', (t) => {
  t.throws(() => new Masking(tokenizer, { maskRate: 0 }), {
    message: /`maskRate` to be a number above 0 and below 1 but received 0/,
  });
  t.throws(() => new Masking(tokenizer, { wholeWord: true } as object), { message: /did you mean `wholeWords`/ });
});

test('every pass has every sequence once, masked anew; an evaluation is always the same', (t) => {
  const masking = new Masking(tokenizer);
  const few = sequences.slice(0, 7);
  const options = { batch: 3, longest: 64, seed: 5 };
  const stream = maskedTrainingBatches(few, masking, options);
  const pass = (): MaskedBatch[] => [stream.next().value, stream.next().value, stream.next().value];
  const [first, second] = [pass(), pass()];
  const labelsOf = (batches: readonly MaskedBatch[]): number =>
    batches.flatMap(({ labels }) => [...labels]).filter((label) => label !== IGNORED).length;
  t.is(labelsOf(first), 7 * Math.round(62 * 0.15));
  t.is(labelsOf(second), labelsOf(first));
  t.notDeepEqual(first, second);
  const evaluation = [...maskedEvaluationBatches(few, masking, options)];
  t.deepEqual([...maskedEvaluationBatches(few, masking, options)], evaluation);
  t.is(labelsOf(evaluation), labelsOf(first));
  t.deepEqual([...maskedEvaluationBatches([], masking, options)], []);
  t.throws(() => maskedTrainingBatches([], masking, options).next(), {
    message: /texts to train on but received none/,
  });
});

test('training from nothing begins with short sequences, as many tokens in each batch, and stays with long ones', (t) => {
  t.deepEqual(stagesBefore(64, 30), [
    { length: 16, steps: 15 },
    { length: 32, steps: 2 },
  ]);
  const shortest = [3000, 6000].map((steps) => stagesBefore(128, steps)[0]?.steps);
  t.deepEqual(shortest, [600, 1000]);
  t.deepEqual(stagesBefore(16, 30), []);
  const cut = (maxLength: number) => encodeDocuments(tokenizer, [textOf(40_000, 'much')], { maxLength });
  const growing = growingTrainingBatches(cut, new Masking(tokenizer), { batch: 4, longest: 64, steps: 10, seed: 2 });
  const batches = Array.from({ length: 12 }, () => growing.next().value as MaskedBatch);
  t.deepEqual(
    batches.map(({ time, batch }) => [batch, time]),
    [...Array(5).fill([16, 16]), ...Array(1).fill([8, 32]), ...Array(6).fill([4, 64])],
  );
  const again = maskedTrainingBatches(cut(64), new Masking(tokenizer), { batch: 4, longest: 64, seed: 2 });
  t.deepEqual(batches[6], again.next().value);
});
