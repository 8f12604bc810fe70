/** Reading the files that describe a tokenizer, and the vocabulary in them. */
import { MAX_TOKENS } from '../data/pair-counts.js';
import { FileError, FormatError } from '../formats/errors.js';
import { readJsonObject } from '../formats/json.js';
import { access, join, readFile } from '../host/node.js';
import { type JsonObject, type Role, roles, type SpecialTokens, tokenizerJson } from './tokenizer-json.js';
import { CONTINUATION } from './word-piece.js';

export interface TokenizerFiles {
  /** tokenizer.json */
  readonly json: JsonObject;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: JsonObject;
  /** What messages call the vocabulary's source. */
  readonly file: string;
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const flag = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined);

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause) => {
    throw new FileError('read', path, cause);
  });

/** The pieces of a vocab.txt: one in each line. @throws FormatError */
function piecesOfLines(text: string, file: string): string[] {
  const pieces = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const seen = new Set<string>();
  for (const [index, piece] of pieces.entries()) {
    if (piece === '' || seen.has(piece)) {
      const found = `${JSON.stringify(piece)} in line ${index + 1}`;
      throw new FormatError(file, undefined, 'a different piece in each line', found);
    }
    seen.add(piece);
  }
  return pieces;
}

/** What tokenizer_config.json calls the special tokens, and BERT's names for those it does not mention. */
export function specialTokensOf(config: JsonObject): SpecialTokens {
  const named = Object.entries(roles).map(([role, usual]) => {
    const value = config[role as Role];
    const content = isObject(value) ? value.content : value;
    return [role, typeof content === 'string' ? content : usual];
  });
  return Object.fromEntries(named) as SpecialTokens;
}

/** @throws FileError, or FormatError if the folder holds no tokenizer */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const settings = join(folder, 'tokenizer_config.json');
  const config = (await exists(settings)) ? await readJsonObject(settings) : {};
  const path = join(folder, 'tokenizer.json');
  if (await exists(path)) return { json: await readJsonObject(path), config, file: path };
  const file = join(folder, 'vocab.txt');
  if (!(await exists(file))) throw new FormatError(folder, undefined, 'tokenizer.json or vocab.txt', 'neither');
  const normalisation = { lowercase: flag(config.do_lower_case), stripAccents: flag(config.strip_accents) };
  return {
    json: tokenizerJson(piecesOfLines(await readText(file), file), specialTokensOf(config), normalisation),
    config,
    file,
  };
}

/** The pieces of a tokenizer.json in the order of their tokens. @throws FormatError for anything but WordPieces numbered from 0 */
export function piecesOf({ json, file }: TokenizerFiles): string[] {
  const { type, vocab, continuing_subword_prefix: prefix } = isObject(json.model) ? json.model : {};
  if (type !== 'WordPiece' || !isObject(vocab)) {
    throw new FormatError(
      file,
      undefined,
      'a WordPiece model with a vocabulary',
      `one of type ${JSON.stringify(type)}`,
    );
  }
  if (prefix !== CONTINUATION) {
    throw new FormatError(file, undefined, `pieces that go on to begin with ${CONTINUATION}`, JSON.stringify(prefix));
  }
  const pieces: string[] = [];
  const add = (piece: unknown, token: unknown): void => {
    const isToken = Number.isInteger(token) && (token as number) >= 0 && (token as number) < MAX_TOKENS;
    if (!isToken || typeof piece !== 'string' || (pieces[token as number] ?? piece) !== piece) {
      const found = `${JSON.stringify(token)} for ${JSON.stringify(piece)}`;
      throw new FormatError(file, undefined, 'a token of its own for each piece', found);
    }
    pieces[token as number] = piece;
  };
  for (const [piece, token] of Object.entries(vocab)) add(piece, token);
  for (const { content, id } of addedTokensOf(json, file)) add(content, id);
  const gap = Array.from(pieces, (piece) => piece === undefined).indexOf(true);
  if (gap < 0) return pieces;
  throw new FormatError(file, undefined, `a piece for each token from 0 to ${pieces.length - 1}`, `none for ${gap}`);
}

/** @throws FormatError */
export function addedTokensOf(json: JsonObject, file: string): readonly JsonObject[] {
  const { added_tokens: added = [] } = json;
  if (Array.isArray(added) && added.every(isObject)) return added;
  throw new FormatError(file, undefined, '`added_tokens` to be a list of objects', JSON.stringify(added).slice(0, 60));
}
