import test from 'ava';
import fc from 'fast-check';
import { decode, decodeAt, encode, fingerprint, HEADER_WORDS, recordWords } from '../../src/program/encode.js';
import { codeOf, instructionNames } from '../../src/program/instructions.js';
import { anyCall, callOf } from '../support/arbitrary.js';

for (const instruction of instructionNames) {
  test(`${instruction}: decoding gives back what was encoded`, (t) => {
    fc.assert(
      fc.property(callOf(instruction), (call) => {
        t.deepEqual(decode(encode([call])), [call]);
      }),
      { numRuns: 20 },
    );
  });
}

test('a program is its header and its records, one after the other', (t) => {
  fc.assert(
    fc.property(fc.array(anyCall, { maxLength: 5 }), (calls) => {
      const words = encode(calls);
      t.deepEqual([...words.subarray(0, HEADER_WORDS)], [fingerprint, words.length, calls.length]);
      t.is(
        words.length,
        calls.reduce((total, { instruction }) => total + recordWords(instruction), HEADER_WORDS),
      );
      t.deepEqual(decode(words), calls);
    }),
    { numRuns: 50 },
  );
});

test('operands are unsigned: the last offset before the absent one survives', (t) => {
  const [call] = decode(
    encode([{ instruction: 'fill', operands: { y: 2 ** 32 - 2 }, dims: { n: 0 }, scalars: { value: 1 } }]),
  );
  t.deepEqual(call?.operands, { y: 2 ** 32 - 2 });
});

test('scalars are rounded to float32', (t) => {
  const [call] = decode(encode([{ instruction: 'fill', operands: { y: 0 }, dims: { n: 0 }, scalars: { value: 0.1 } }]));
  t.deepEqual(call?.scalars, { value: Math.fround(0.1) });
});

test('no call stands where the code is unknown, the length is another one, or the record is cut off', (t) => {
  const words = encode([{ instruction: 'fill', operands: { y: 0 }, dims: { n: 0 }, scalars: { value: 0 } }]);
  const changed = (index: number, word: number): Int32Array => words.with(HEADER_WORDS + index, word);
  t.not(decodeAt(words, HEADER_WORDS), undefined);
  for (const code of [0, -1, instructionNames.length + 1, 2 ** 31 - 1])
    t.is(decodeAt(changed(0, code), HEADER_WORDS), undefined);
  for (const length of [0, 4, 6, -5]) t.is(decodeAt(changed(1, length), HEADER_WORDS), undefined);
  t.is(decodeAt(words.subarray(0, words.length - 1), HEADER_WORDS), undefined);
  t.is(decodeAt(words, words.length), undefined);
  t.throws(() => decode(changed(0, 0)), { instanceOf: RangeError });
});

test('codes count from 1: a word of zeros is no instruction', (t) => {
  t.is(codeOf(instructionNames[0] ?? 'fill'), 1);
});
