import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { encodeDocuments } from '../../src/text/documents.js';
import { WordPieceTokenizer } from '../../src/text/tokenizer.js';
import { textOf } from '../train/text.js';

const tokenizer = await WordPieceTokenizer.learn([textOf(4000)], { size: 60 });
const { cls, sep, mask, unknown } = tokenizer.special;

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'seqgrad-tokenizer-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

async function loaded(files: Readonly<Record<string, string>>): Promise<WordPieceTokenizer> {
  const folder = folderOf(files);
  try {
    return await WordPieceTokenizer.load(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a text comes back, in lower case', (t) => {
  const { tokens, types } = tokenizer.encode('The cell forgets.');
  t.deepEqual([tokens[0], tokens.at(-1)], [cls, sep]);
  t.true(types.every((type) => type === 0));
  t.is(tokenizer.decode(tokens), 'the cell forgets.');
  t.is(tokenizer.decode([]), '');
  t.deepEqual([...tokenizer.encode('a [MASK] ☃').tokens], [cls, tokenizer.pieces('a')[0], mask, unknown, sep]);
});

test('a pair is told apart by types', (t) => {
  const { tokens, types } = tokenizer.encode('the gate', { pair: 'a cell' });
  const first = tokenizer.pieces('the gate');
  t.is(types.indexOf(1), first.length + 2);
  t.deepEqual([...tokens], [cls, ...first, sep, ...tokenizer.pieces('a cell'), sep]);
});

test('what is too long is cut', (t) => {
  t.is(tokenizer.encode(textOf(500), { maxLength: 10 }).tokens.length, 10);
  const long = tokenizer.encode(textOf(500_000)).tokens;
  t.true(long.length > 130_000, 'there is no limit where none is set');
  const message = t.throws(() => tokenizer.encode('a', { maxLength: 2 }))?.message;
  t.is(message, 'Expected `maxLength` to be at least 3, as 2 tokens are special ones, but received 2');
});

test('words know their tokens; those that do not fit whole are left out', (t) => {
  const words = ['gate', '', 'cellar', 'the'];
  const all = tokenizer.encodeWords(words);
  t.is(all.words.length, all.tokens.length);
  t.deepEqual([all.words[0], all.words.at(-1)], [-1, -1]);
  t.deepEqual([...new Set(all.words)], [-1, 0, 2, 3], 'an empty word has no token');
  const [gate, cellar] = [tokenizer.pieces('gate').length, tokenizer.pieces('cellar').length];
  t.true(cellar > 1);
  const cut = tokenizer.encodeWords(words, { maxLength: gate + cellar + 1 });
  t.deepEqual([...new Set(cut.words)], [-1, 0]);
});

test('a document is cut into sequences of one length and nothing is lost', (t) => {
  const text = textOf(3000);
  const sequences = encodeDocuments(tokenizer, [text, '', '☃ ☃ ☃', 'the end'], { maxLength: 16 });
  t.true(sequences.slice(0, -2).every(({ tokens }) => tokens.length === 16));
  const joined = sequences.slice(0, -1).flatMap(({ tokens }) => [...tokens.slice(1, -1)]);
  t.deepEqual(joined, [...tokenizer.pieces(text)]);
  t.is(tokenizer.decode(sequences.at(-1)!.tokens), 'the end');
});

test('files give the same tokenizer again, also the vocabulary alone', async (t) => {
  const text = textOf(300, 'other');
  const { 'tokenizer.json': json, 'vocab.txt': lines, 'tokenizer_config.json': config } = tokenizer.files;
  const all = await loaded(tokenizer.files);
  t.deepEqual(all.encode(text), tokenizer.encode(text));
  t.deepEqual(all.files, tokenizer.files);
  t.deepEqual((await loaded({ 'tokenizer.json': json! })).encode(text), tokenizer.encode(text));
  t.deepEqual((await loaded({ 'vocab.txt': lines!.replaceAll('\n', '\r\n') })).encode(text), tokenizer.encode(text));
  const cased = {
    'vocab.txt': lines!,
    'tokenizer_config.json': config!.replace('"do_lower_case": true', '"do_lower_case": false'),
  };
  t.true((await loaded(cased)).encode('The').tokens.includes(unknown));
});

test('special tokens have the names that the configuration gives them', async (t) => {
  const files = {
    'vocab.txt': '<pad>\n<unk>\n<s>\n</s>\n<mask>\na\n##b\n',
    'tokenizer_config.json': JSON.stringify({
      ...{
        pad_token: '<pad>',
        unk_token: '<unk>',
        cls_token: '<s>',
        sep_token: { content: '</s>' },
        mask_token: '<mask>',
      },
    }),
  };
  const named = await loaded(files);
  t.deepEqual(named.special, { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 });
  t.deepEqual([...named.encode('AB <mask>').tokens], [2, 5, 6, 4, 3]);
  t.true(named.goesOn(6) && !named.goesOn(5));
});

const edited = (
  edit: (json: { model: Record<string, unknown>; added_tokens: unknown }) => void,
): Record<string, string> => {
  const json = JSON.parse(tokenizer.files['tokenizer.json']!);
  edit(json);
  return { 'tokenizer.json': JSON.stringify(json) };
};

const refusals: readonly (readonly [title: string, files: Readonly<Record<string, string>>, message: RegExp])[] = [
  ['an empty folder', {}, /Expected tokenizer\.json or vocab\.txt but received neither/],
  ['text that is not JSON', { 'tokenizer.json': '{' }, /tokenizer\.json: Expected JSON but received text that is not/],
  ['a list', { 'tokenizer.json': '[]' }, /Expected an object but received \[\]/],
  [
    'no model',
    { 'tokenizer.json': '{}' },
    /Expected a WordPiece model with a vocabulary but received one of type undefined/,
  ],
  [
    'another kind of model',
    edited((json) => (json.model.type = 'BPE')),
    /WordPiece model .* but received one of type "BPE"/,
  ],
  [
    'another prefix',
    edited((json) => (json.model.continuing_subword_prefix = '@')),
    /to begin with ## but received "@"/,
  ],
  [
    'a token twice',
    edited((json) => Object.assign(json.model.vocab as object, { zz: 7 })),
    /a token of its own for each piece but received 7 for "zz"/,
  ],
  [
    'a gap',
    edited((json) => Object.assign(json.model.vocab as object, { zz: 1000 })),
    /a piece for each token from 0 to 1000 but received none for 60/,
  ],
  [
    'a token far away',
    edited((json) => Object.assign(json.model.vocab as object, { zz: 4e9 })),
    /received 4000000000 for "zz"/,
  ],
  [
    'a token that is no number',
    edited((json) => Object.assign(json.model.vocab as object, { zz: '7' })),
    /received "7" for "zz"/,
  ],
  [
    'added tokens that are no list',
    edited((json) => (json.added_tokens = 3)),
    /`added_tokens` to be a list of objects but received 3/,
  ],
  [
    'no mask',
    { 'vocab.txt': '[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n' },
    /vocab\.txt: Expected the special token "\[MASK\]" in the vocabulary but received none/,
  ],
  [
    'a mask of another name',
    { ...tokenizer.files, 'tokenizer_config.json': '{"mask_token":"<m>"}' },
    /tokenizer\.json: Expected the special token "<m>" in the vocabulary but received none/,
  ],
  [
    'a repeated line',
    { 'vocab.txt': 'a\nb\na\n' },
    /vocab\.txt: Expected a different piece in each line but received "a" in line 3/,
  ],
  [
    'an empty vocabulary',
    { 'vocab.txt': '' },
    /vocab\.txt: Expected a different piece in each line but received "" in line 1/,
  ],
  [
    'a normaliser that nobody knows',
    edited((json) => Object.assign(json, { normalizer: { type: 'Odd' } })),
    /a tokenizer that can be used but received one that cannot \(.*Odd/,
  ],
];

for (const [title, files, message] of refusals) {
  test(`refused: ${title}`, async (t) => {
    const error = await t.throwsAsync(loaded(files));
    t.regex(error?.message ?? '', message);
    t.is((error as unknown as { code: string }).code, 'ERR_SEQGRAD_FORMAT');
  });
}

test('refused: a token that is not there, options that are not there', async (t) => {
  t.is(t.throws(() => tokenizer.decode([60]))?.message, 'Expected tokens from 0 to 59 but received 60');
  const misspelt = WordPieceTokenizer.learn(['a'], { lowerCase: true } as object);
  t.regex((await t.throwsAsync(misspelt))?.message ?? '', /unknown option `lowerCase`: did you mean `lowercase`/);
  t.regex((await t.throwsAsync(WordPieceTokenizer.learn([''])))?.message ?? '', /a text with words but received none/);
});
