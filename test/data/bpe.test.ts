import test from 'ava';
import fc from 'fast-check';
import { BpeVocabulary } from '../../src/data/bpe.js';
import { vocabularyFromJson } from '../../src/data/vocabularies.js';
import { splitWords, WordVocabulary } from '../../src/data/words.js';
import { textOf } from '../train/text.js';

const byte = (character: string): number => character.charCodeAt(0);

test('merges by hand: the most frequent pair first, of equals the one of smaller bytes', (t) => {
  // Pieces: "ab" × 3, " ab" × 1, " cd" × 2. Pairs: (a,b) 4; then ( ,c) and (c,d) 2 each, of which ( ,c) has the smaller byte first.
  const { merges } = BpeVocabulary.fromTexts(['ab', 'ab', 'ab cd', '\nab cd'.slice(1).replace('ab', 'x ab')], {
    size: 300,
  }).toJSON();
  t.deepEqual(merges[0], [byte('a'), byte('b')]);
  t.deepEqual(merges[1], [byte(' '), byte('c')]);
  t.deepEqual(merges[2], [257, byte('d')]);
  t.is(merges.length, 3, 'no pair is left that comes twice');
});

test('overlapping pairs are counted and joined from the left', (t) => {
  const vocabulary = BpeVocabulary.fromTexts(['aaaaa', 'aaaaa'], { size: 258 });
  t.deepEqual(vocabulary.toJSON().merges, [
    [97, 97],
    [256, 97],
  ]);
  t.deepEqual([...vocabulary.encode('aaaaa')], [256, 257]);
});

/** The definition, without the bookkeeping: count all pairs anew after each merge. */
function slowMerges(pieces: readonly string[], count: number): (readonly [number, number])[] {
  const words = pieces.map((piece) => [...new TextEncoder().encode(piece)]);
  const merges: (readonly [number, number])[] = [];
  while (merges.length < count) {
    const pairs = new Map<string, number>();
    for (const word of words)
      for (let at = 0; at + 1 < word.length; at++)
        pairs.set(`${word[at]} ${word[at + 1]}`, (pairs.get(`${word[at]} ${word[at + 1]}`) ?? 0) + 1);
    const best = [...pairs]
      .map(([pair, times]) => ({ pair: pair.split(' ').map(Number) as [number, number], times }))
      .sort((a, b) => b.times - a.times || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1])[0];
    if (best === undefined || best.times < 2) break;
    const token = 256 + merges.push(best.pair) - 1;
    for (const word of words)
      for (let at = 0; at + 1 < word.length; at++)
        if (word[at] === best.pair[0] && word[at + 1] === best.pair[1]) word.splice(at, 2, token);
  }
  return merges;
}

test('merges are those of the definition', (t) => {
  const text = textOf(1500);
  const pieces = text.match(/ ?[a-z]+| ?[.]|\s+(?!\S)|\s/g) as string[];
  const { merges } = BpeVocabulary.fromTexts([text], { size: 330 }).toJSON();
  t.deepEqual(merges, slowMerges(pieces, 74));
});

const trained = BpeVocabulary.fromTexts([textOf(4000), 'äöü ÄÖÜ 123 456'], { size: 400 });

test('any text, seen or not, comes back byte by byte', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const tokens = trained.encode(text);
      t.is(trained.decode(tokens), text);
      t.true(tokens.every((token) => token >= 0 && token < trained.size));
    }),
  );
  const text = textOf(2000, 'other');
  t.is(trained.decode(trained.encode(text)), text);
  t.true(trained.encode(text).length < text.length / 2);
});

test('the same text gives the same vocabulary, and JSON the same tokens', (t) => {
  const again = BpeVocabulary.fromTexts([textOf(4000), 'äöü ÄÖÜ 123 456'], { size: 400 });
  t.deepEqual(again.toJSON(), trained.toJSON());
  const loaded = vocabularyFromJson(JSON.parse(JSON.stringify(trained)));
  t.deepEqual(loaded.encode('the cell forgets: ß'), trained.encode('the cell forgets: ß'));
});

test('characters come out whole when tokens come one by one', (t) => {
  const decoding = trained.decoding();
  const pieces = [...trained.encode('a€😀')].map((token) => decoding.next(token));
  t.is(pieces.join('') + decoding.end(), 'a€😀');
  t.true(pieces.every((piece) => !piece.includes('\ufffd')));
  t.is(trained.decode([0xe2, 0x82]), '\ufffd', 'bytes that a model left incomplete');
});

test('a line of a million characters without a space is encoded in good time', (t) => {
  const long = 'abcdefghij'.repeat(100_000);
  t.is(trained.decode(trained.encode(long)), long);
  t.is(
    BpeVocabulary.fromTexts([long], { size: 270 }).decode(BpeVocabulary.fromTexts([long], { size: 270 }).encode(long)),
    long,
  );
});

test('half a character, an impossible size and JSON of something else are refused', (t) => {
  t.throws(() => trained.encode('ab\ud800'), { code: 'ERR_SEQGRAD_DATA', message: /lone surrogate\) at position 2/ });
  t.throws(() => BpeVocabulary.fromTexts(['a'], { size: 255 }), {
    message: /a size from 256 to 1048576 but received 255/,
  });
  t.throws(() => BpeVocabulary.fromTexts([]), { code: 'ERR_SEQGRAD_DATA' });
  t.throws(() => trained.decode([trained.size]), { message: /Expected tokens from 0 to \d+ but received \d+/ });
  for (const merges of [[[0, 256]], [[0]], ['ab'], [[0, -1]], [[0, 0.5]]]) {
    t.throws(() => BpeVocabulary.fromJSON({ type: 'bpe', merges }, 'v.json'), {
      message: /^v\.json: Expected two tokens from 0 to 255 but received .* at merge 0$/,
    });
  }
  for (const json of [null, [], {}, { type: 'other' }, { type: 'toString' }]) {
    t.throws(() => vocabularyFromJson(json, 'v.json'), {
      message: /^v\.json: Expected \{ "type": "characters" or "words" or "bpe"/,
    });
  }
});

test('words, numbers, marks and line breaks', (t) => {
  t.deepEqual(splitWords('Don’t stop—he said: 1,000.5 «well-known»\nnaïve'), [
    ...['Don’t', 'stop', '—', 'he', 'said', ':', '1,000.5', '«', 'well-known', '»', '\n', 'naïve'],
  ]);
  t.deepEqual(splitWords(' \t '), []);
});

test('words by how often they come, equals by name; rare ones are unknown', (t) => {
  const vocabulary = WordVocabulary.fromText('b a b a c the the the', { minCount: 2 });
  t.deepEqual(vocabulary.toJSON(), { type: 'words', words: ['the', 'a', 'b'] });
  t.deepEqual([...vocabulary.encode('the c b zebra')], [1, 0, 3, 0]);
  t.deepEqual(WordVocabulary.fromText('b a b a c the the the', { minCount: 1, maxSize: 3 }).toJSON().words, [
    'the',
    'a',
  ]);
  t.is(vocabulary.decode([1, 3, 0]), 'the b <unknown>');
  t.throws(() => vocabulary.decode([4]), { message: 'Expected tokens from 0 to 3 but received 4' });
  const loaded = vocabularyFromJson(JSON.parse(JSON.stringify(vocabulary)));
  t.deepEqual(loaded.encode('the a b'), vocabulary.encode('the a b'));
  for (const words of [['a', 'a'], [''], [1], 'ab']) {
    t.throws(() => WordVocabulary.fromJSON({ type: 'words', words }, 'v.json'), {
      code: 'ERR_SEQGRAD_DATA',
      message: /^v\.json: Expected/,
    });
  }
  t.throws(() => WordVocabulary.fromText('  '), { code: 'ERR_SEQGRAD_DATA' });
});

test('words are written with the spaces that texts have', (t) => {
  const vocabulary = WordVocabulary.fromText('“Yes,” he said. (No!)\nWhat?', { minCount: 1 });
  t.is(vocabulary.decode(vocabulary.encode('“Yes,” he said. (No!)\nWhat?')), '“Yes,” he said. (No!)\nWhat?');
});
