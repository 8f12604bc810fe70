/** Sequences with a label for each token, from columns (as the CoNLL tasks have them) or JSON lines. */
import { DataError } from './errors.js';
import { nameOf, type Source } from './files.js';
import { isJsonLines, readJsonLines, shown } from './jsonl.js';
import { decoded, linesOf } from './text.js';

export interface LabelledSequence {
  readonly tokens: readonly string[];
  /** One for each token. */
  readonly labels: readonly string[];
  /** File and line, for messages. */
  readonly where?: string | undefined;
}

/**
 * Sequences of labelled tokens.
 *
 * - .jsonl: objects with `tokens` and `labels`, two lists of strings of one length.
 * - else columns: a token in a line, its label in the same line's last column, columns separated by a tab where there is one and by spaces where
 *   not, an empty line between sequences. Lines that begin with `-DOCSTART-` are left out.
 * @throws DataError naming file and line
 */
export async function* readLabelledSequences(source: Source): AsyncGenerator<LabelledSequence, void, undefined> {
  if (isJsonLines(source)) yield* ofJsonLines(source);
  else yield* ofColumns(source);
}

async function* ofColumns(source: Source): AsyncGenerator<LabelledSequence, void, undefined> {
  const name = nameOf(source);
  let begun: { tokens: string[]; labels: string[]; where: string } | undefined;
  for await (const { text, number } of linesOf(decoded(source))) {
    if (text.trim() === '') {
      if (begun !== undefined) yield begun;
      begun = undefined;
      continue;
    }
    if (text.startsWith('-DOCSTART-')) continue;
    const cells = text.includes('\t') ? text.split('\t') : text.trim().split(/ +/);
    const [token, label] = [cells[0]?.trim(), cells.at(-1)?.trim()];
    if (cells.length < 2 || !token || !label) {
      throw new DataError(
        `${name}:${number}: Expected a token and its label in two columns but received ${shown(text)}`,
      );
    }
    begun ??= { tokens: [], labels: [], where: `${name}:${number}` };
    begun.tokens.push(token);
    begun.labels.push(label);
  }
  if (begun !== undefined) yield begun;
}

const isListOfStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string' && each !== '');

async function* ofJsonLines(source: Source): AsyncGenerator<LabelledSequence, void, undefined> {
  for await (const { line, value } of readJsonLines(source)) {
    const where = `${nameOf(source)}:${line}`;
    const { tokens, labels } = value;
    for (const [key, list] of Object.entries({ tokens, labels })) {
      if (!isListOfStrings(list))
        throw new DataError(`${where}: Expected "${key}" to be a list of strings but received ${shown(list)}`);
    }
    const [tokenList, labelList] = [tokens as string[], labels as string[]];
    if (tokenList.length !== labelList.length) {
      throw new DataError(
        `${where}: Expected a label for each of ${tokenList.length} tokens but received ${labelList.length}`,
      );
    }
    if (tokenList.length > 0) yield { tokens: tokenList, labels: labelList, where };
  }
}
