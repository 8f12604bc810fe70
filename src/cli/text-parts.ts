/** Running text for training, validation and test, by share or from files of their own. */
import type { Command } from 'commander';
import { type Parts, splitPoints } from '../data/split.js';
import { loadText } from '../data/text.js';
import { required, several } from './command.js';

export interface TextFlags {
  text?: string[];
  validationText?: string[];
  testText?: string[];
}

export const withTextFiles = (command: Command): Command =>
  command
    .option('--text <path>', 'required: a text file, or a folder of them; may be given several times', several)
    .option('--validation-text <path>', 'the same for validation, instead of a share of --text', several)
    .option('--test-text <path>', 'the same for the test, instead of a share of --text', several);

/** What is held out of the text by share. */
export const heldText = {
  validation: 'of the text, before the test part, that is',
  test: 'of the text, at its end, that is',
};

/** The first position from `at` on that no character, or no word, goes across. */
function cutAt(text: string, at: number, withinWords: boolean): number {
  if (withinWords) return at + Number(/^[\udc00-\udfff]/.test(text.slice(at, at + 1)));
  const space = text.slice(at).search(/\s/);
  return space < 0 ? text.length : at + space;
}

/**
 * The parts of the text, and the number of files that `--text` named.
 * @param withinWords whether one part may end, and the next begin, within a word
 * @throws OptionError, DataError
 */
export async function readTextParts(
  flags: TextFlags & { validation: number; test: number },
  { withinWords }: { readonly withinWords: boolean },
): Promise<{ readonly parts: Parts<string>; readonly files: number }> {
  const { text, files } = await loadText(required(flags.text, '--text <path>'));
  const given = async (paths: string[] | undefined): Promise<string | undefined> =>
    paths === undefined ? undefined : (await loadText(paths)).text;
  const [validation, test] = [await given(flags.validationText), await given(flags.testText)];
  const fractions = {
    validation: validation === undefined ? flags.validation : 0,
    test: test === undefined ? flags.test : 0,
  };
  const [validationStart = 0, testStart = 0] = splitPoints(text.length, fractions).map((at) =>
    cutAt(text, at, withinWords),
  );
  const parts = {
    train: text.slice(0, validationStart),
    validation: validation ?? text.slice(validationStart, testStart),
    test: test ?? text.slice(testStart),
  };
  return { parts, files: files.length };
}
