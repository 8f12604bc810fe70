import test from 'ava';
import fc from 'fast-check';
import { learnWordPieces, SPECIAL_TOKENS } from '../../src/text/word-piece.js';

const counts = (words: Readonly<Record<string, number>>): Map<string, number> => new Map(Object.entries(words));
const beyondSpecial = (vocabulary: readonly string[]): string[] => vocabulary.slice(SPECIAL_TOKENS.length);

test('pieces by hand: special tokens, characters, then the most frequent pairs', (t) => {
  // hug 10, pug 5, hugs 5: (##u, ##g) 20, then (h, ##ug) 15, then (hug, ##s) and (p, ##ug) 5 each, of which hug is the later token.
  const vocabulary = learnWordPieces(counts({ hug: 10, pug: 5, hugs: 5 }), { size: 100 });
  t.deepEqual(vocabulary.slice(0, 5), ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']);
  t.deepEqual(beyondSpecial(vocabulary), [
    ...['##g', '##s', '##u', 'g', 'h', 'p', 's', 'u'],
    ...['##ug', 'hug', 'pug', 'hugs'],
  ]);
  t.deepEqual(
    learnWordPieces(counts({ hug: 10, pug: 5, hugs: 5 }), { size: 14 }).at(-1),
    '##ug',
    'as many as asked for',
  );
  t.deepEqual(learnWordPieces(counts({ hug: 10, pug: 5, hugs: 5 }), { minCount: 6 }).at(-1), 'hug');
});

/** The definition: counts all pairs anew after each joining. */
function slowly(words: ReadonlyMap<string, number>, joinings: number): string[] {
  const spelt = [...words].map(([word, count]) => ({
    pieces: [...word].map((letter, at) => (at === 0 ? letter : `##${letter}`)),
    count,
  }));
  const all = new Set([...words.keys()].flatMap((word) => [...word]));
  const vocabulary = [...SPECIAL_TOKENS, ...[...new Set([...all, ...spelt.flatMap(({ pieces }) => pieces)])].sort()];
  for (let joining = 0; joining < joinings; joining++) {
    const pairs = new Map<string, number>();
    for (const { pieces, count } of spelt) {
      for (let at = 0; at + 1 < pieces.length; at++) {
        const key = `${vocabulary.indexOf(pieces[at]!)} ${vocabulary.indexOf(pieces[at + 1]!)}`;
        pairs.set(key, (pairs.get(key) ?? 0) + count);
      }
    }
    const ranked = [...pairs].map(([key, count]) => ({ pair: key.split(' ').map(Number) as [number, number], count }));
    const [best] = ranked.sort((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    if (best === undefined || best.count < 2) break;
    const [left, right] = best.pair.map((token) => vocabulary[token]!) as [string, string];
    const joined = left + right.slice(2);
    if (!vocabulary.includes(joined)) vocabulary.push(joined);
    for (const { pieces } of spelt) {
      for (let at = 0; at + 1 < pieces.length; at++) {
        if (pieces[at] === left && pieces[at + 1] === right) pieces.splice(at, 2, joined);
      }
    }
  }
  return vocabulary;
}

const someWords = fc
  .array(fc.tuple(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é'), minLength: 1, maxLength: 7 }), fc.nat(9)), {
    minLength: 1,
    maxLength: 25,
  })
  .map((words) => new Map(words.map(([word, count]) => [word, count + 1])));

test('pieces are those of the definition', (t) => {
  fc.assert(
    fc.property(someWords, (words) => {
      const expected = slowly(words, 30);
      t.deepEqual(learnWordPieces(words, { size: expected.length }), expected);
    }),
    { numRuns: 60 },
  );
});

test('the order of the words does not matter', (t) => {
  fc.assert(
    fc.property(someWords, (words) => {
      const reversed = new Map([...words].reverse());
      t.deepEqual(learnWordPieces(reversed, { size: 60 }), learnWordPieces(words, { size: 60 }));
    }),
  );
});

test('words with rare characters are left out, those characters too', (t) => {
  const words = counts({ aa: 5, ab: 3, zz: 1, az: 1 });
  t.deepEqual(beyondSpecial(learnWordPieces(words, { characters: 2 })), ['##a', '##b', 'a', 'b', 'aa', 'ab']);
  t.true(learnWordPieces(words).includes('z'));
});

test('bad input', (t) => {
  const message = (words: ReadonlyMap<string, number>, options?: object): string =>
    t.throws(() => learnWordPieces(words, options))?.message ?? '';
  t.regex(message(new Map()), /vocabulary: Expected a text with words but received none/);
  t.regex(
    message(counts({ abc: 1 }), { size: 8 }),
    /at least the 10 of special tokens and single characters but received a size of 8/,
  );
  t.regex(message(counts({ a: 1 }), { size: 2 }), /`size` to be a whole number from 6 to 1048576 but received 2/);
  t.regex(message(counts({ a: 1 }), { sise: 20 }), /unknown option `sise`: did you mean `size`/);
});
