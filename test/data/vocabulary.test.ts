import test from 'ava';
import fc from 'fast-check';
import { CharacterVocabulary } from '../../src/data/vocabulary.js';

test('characters are numbered by code point, whatever their order in the text', (t) => {
  const vocabulary = CharacterVocabulary.fromText('zebra 😀 \uffee zebra');
  t.deepEqual(vocabulary.toJSON(), { type: 'characters', characters: [...' aberz\uffee😀'] });
  t.is(vocabulary.size, 8);
  t.deepEqual(vocabulary.encode('ab😀'), Int32Array.of(1, 2, 7));
});

test('decoding undoes encoding, also through JSON', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
      const made = CharacterVocabulary.fromText(text);
      const vocabulary = CharacterVocabulary.fromJSON(JSON.parse(JSON.stringify(made)));
      const tokens = made.encode(text);
      t.is(vocabulary.decode(tokens), text);
      t.is(tokens.length, [...text].length);
      t.true(tokens.every((token) => token >= 0 && token < vocabulary.size));
    }),
  );
});

test('an unknown character is named with code point and position in characters', (t) => {
  const vocabulary = CharacterVocabulary.fromText('ab😀');
  const expected = 'Expected characters of the vocabulary (3 of them) but received';
  t.throws(() => vocabulary.encode('😀bé'), {
    code: 'ERR_SEQGRAD_DATA',
    message: `${expected} "é" (U+00E9) at position 2`,
  });
  t.throws(() => vocabulary.encode('a\n'), { message: `${expected} U+000A at position 1` });
});

test('a token outside the vocabulary is not decoded', (t) => {
  const vocabulary = CharacterVocabulary.fromText('ab');
  t.throws(() => vocabulary.decode([0, 2]), { message: 'Expected tokens from 0 to 1 but received 2' });
  t.throws(() => vocabulary.decode([-1]), { message: /received -1/ });
});

test('an empty text has no vocabulary', (t) => {
  t.throws(() => CharacterVocabulary.fromText(''), { code: 'ERR_SEQGRAD_DATA' });
});

for (const json of [null, 7, {}, { type: 'words', characters: [] }, { type: 'characters', characters: 'ab' }]) {
  test(`${JSON.stringify(json)} is no vocabulary`, (t) => {
    t.throws(() => CharacterVocabulary.fromJSON(json, 'vocab.json'), {
      code: 'ERR_SEQGRAD_DATA',
      message: /^vocab\.json: Expected \{ "type": "characters"/,
    });
  });
}

for (const characters of [['b', 'a'], ['a', 'a'], ['ab'], [''], [1]]) {
  test(`${JSON.stringify(characters)} are no characters of a vocabulary`, (t) => {
    t.throws(() => CharacterVocabulary.fromJSON({ type: 'characters', characters }, 'vocab.json'), {
      message: /^vocab\.json: Expected single characters in ascending order of code points but received .* at index/,
    });
  });
}
