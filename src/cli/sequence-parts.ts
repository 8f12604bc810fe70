/** Sequences of labelled tokens for training, validation and test, by share or from files of their own. */
import type { Command } from 'commander';
import { type LabelledSequence, readLabelledSequences } from '../data/labelled-sequences.js';
import { type Parts, splitRandomly } from '../data/split.js';
import { collect } from '../models/collect.js';
import { Labels } from '../models/labels.js';
import { required } from './command.js';
import { sourceOf } from './data.js';

export interface SequenceFlags {
  data?: string;
  validationData?: string;
  testData?: string;
}

export const withSequenceFiles = (command: Command): Command =>
  command
    .option(
      '--data <path>',
      'required: a token and its label in each line, an empty line between sequences; or a .jsonl file',
    )
    .option('--validation-data <path>', 'the same for validation, instead of a share of --data')
    .option('--test-data <path>', 'the same for the test, instead of a share of --data');

/** What is held out of the sequences by share. */
export const heldSequences = { validation: 'of the sequences that is', test: 'of the sequences that is' };

export const readSequences = (path: string): Promise<LabelledSequence[]> =>
  collect(readLabelledSequences(sourceOf(path)));

export interface SequenceParts {
  readonly parts: Parts<LabelledSequence[]>;
  /** All labels, also those that training lacks. */
  readonly labels: readonly string[];
  /** For the note before the first step. */
  readonly data: { readonly values: Readonly<Record<string, unknown>>; readonly text: string };
}

/** @throws OptionError, DataError */
export async function readSequenceParts(
  flags: SequenceFlags & { validation: number; test: number; seed: number },
): Promise<SequenceParts> {
  const all = await readSequences(required(flags.data, '--data <path>'));
  const { validationData, testData } = flags;
  const fractions = {
    validation: validationData === undefined ? flags.validation : 0,
    test: testData === undefined ? flags.test : 0,
  };
  const dealt = splitRandomly(all, fractions, flags.seed);
  const parts = {
    train: dealt.train,
    validation: validationData === undefined ? dealt.validation : await readSequences(validationData),
    test: testData === undefined ? dealt.test : await readSequences(testData),
  };
  return { parts, ...describe(parts) };
}

function describe(parts: Parts<LabelledSequence[]>): Pick<SequenceParts, 'labels' | 'data'> {
  const labelsOf = (sequences: readonly LabelledSequence[]): string[] => sequences.flatMap(({ labels }) => labels);
  // A label may be so rare that chance gives training none of it: the model knows it all the same, and the note says so.
  const { names: labels } = Labels.of(Object.values(parts).flatMap(labelsOf));
  const trained = new Set(labelsOf(parts.train));
  const untrained = labels.filter((label) => !trained.has(label));
  const tokens = parts.train.reduce((sum, sequence) => sum + sequence.tokens.length, 0);
  const count = (part: readonly unknown[]): string => part.length.toLocaleString('en');
  return {
    labels,
    data: {
      values: {
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
        tokens,
        labels: labels.length,
        untrained,
        longest: longestOf(parts.train),
      },
      text:
        `sequences: ${count(parts.train)} to train (${tokens.toLocaleString('en')} tokens), ${count(parts.validation)} for validation, ` +
        `${count(parts.test)} for the test; ${labels.length} labels` +
        (untrained.length === 0 ? '' : `\nnot one in the training part: ${untrained.join(', ')}`),
    },
  };
}

/** Tokens of the longest sequence. */
export const longestOf = (sequences: readonly LabelledSequence[]): number =>
  sequences.reduce((most, { tokens }) => Math.max(most, tokens.length), 1);
