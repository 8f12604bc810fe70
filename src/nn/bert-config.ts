/** The sizes and rates of a BERT encoder (Devlin et al. 2019), and of the decoder made of the same layers. */
import {
  above,
  atLeast,
  checkOptions,
  fraction,
  OptionError,
  oneOf,
  wholeNumber,
  yesOrNo,
} from '../program/options.js';

/** `gelu` is x · Φ(x) by the error function, `gelu_new` its tanh form. */
export type Activation = 'gelu' | 'gelu_new' | 'relu';

export interface BertConfig {
  /** Tokens of the vocabulary, V. */
  readonly vocabularySize: number;
  /** Model width, C: a multiple of `heads`. */
  readonly hiddenSize: number;
  readonly layers: number;
  /** NH */
  readonly heads: number;
  /** F */
  readonly feedForwardSize: number;
  /** The longest sequence. */
  readonly maxPositions: number;
  /** Kinds of segments: 2 for a text and its pair. 0: none are told apart. */
  readonly tokenTypes: number;
  readonly activation: Activation;
  /** Of the embeddings, and of what attention and feed-forward layers add to the residual stream. */
  readonly dropout: number;
  /** Of the attention probabilities. */
  readonly attentionDropout: number;
  /** Before a classifier's last layer. Default: as `dropout`. */
  readonly classifierDropout?: number | undefined;
  readonly layerNormEpsilon: number;
  /** Standard deviation of fresh weights. */
  readonly initializerRange: number;
  /** The token that shorter sequences of a batch are filled up with. */
  readonly padToken: number;
  /** Layer normalisation before attention and feed-forward layers, not after the residual sum. Default false. */
  readonly preNorm?: boolean | undefined;
  /** Positions see only those before them: a decoder. Default false. */
  readonly causal?: boolean | undefined;
}

export type BertPreset = 'tiny' | 'mini' | 'small' | 'medium' | 'base';

type Sizes = Pick<BertConfig, 'layers' | 'hiddenSize' | 'heads' | 'feedForwardSize'>;

/** Heads of 64, feed-forward layers of 4 C. */
const sizes = (layers: number, hiddenSize: number): Sizes => ({
  layers,
  hiddenSize,
  heads: hiddenSize / 64,
  feedForwardSize: 4 * hiddenSize,
});

/** The sizes of Turc et al. 2019, "Well-read students learn better", and BERT-base. */
export const bertPresets: Readonly<Record<BertPreset, Sizes>> = {
  tiny: sizes(2, 128),
  mini: sizes(4, 256),
  small: sizes(4, 512),
  medium: sizes(8, 512),
  base: sizes(12, 768),
};

/** What BERT has where nothing is said. */
export const bertDefaults = {
  ...bertPresets.base,
  maxPositions: 512,
  tokenTypes: 2,
  activation: 'gelu',
  dropout: 0.1,
  attentionDropout: 0.1,
  layerNormEpsilon: 1e-12,
  initializerRange: 0.02,
  padToken: 0,
} as const satisfies Omit<BertConfig, 'vocabularySize'>;

const size = wholeNumber(1, 2 ** 24);

export const bertRules = {
  vocabularySize: size,
  hiddenSize: size,
  layers: wholeNumber(1, 1024),
  heads: size,
  feedForwardSize: size,
  maxPositions: size,
  tokenTypes: wholeNumber(0, 2 ** 24),
  activation: oneOf('gelu', 'gelu_new', 'relu'),
  dropout: fraction,
  attentionDropout: fraction,
  classifierDropout: fraction,
  layerNormEpsilon: above(0),
  initializerRange: atLeast(0),
  padToken: wholeNumber(0),
  preNorm: yesOrNo,
  causal: yesOrNo,
};

/** What can be said about an encoder: a preset (default base), and whatever shall differ from it. */
export type BertSizes = { readonly preset?: BertPreset | undefined } & {
  readonly [Name in keyof BertConfig]?: BertConfig[Name] | undefined;
};

/**
 * A whole configuration from what is given.
 * @throws OptionError for a value that does not fit, alone or beside the others.
 */
export function bertConfig({ preset = 'base', ...given }: BertSizes & Pick<BertConfig, 'vocabularySize'>): BertConfig {
  checkOptions('BERT', { preset }, { preset: oneOf(...Object.keys(bertPresets)) });
  checkOptions('BERT', given, bertRules);
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const config = { ...bertDefaults, ...bertPresets[preset], ...said } as BertConfig;
  const { hiddenSize, heads, padToken, vocabularySize } = config;
  const refuse = (name: keyof BertConfig, expected: string): never => {
    throw new OptionError(`BERT: Expected \`${name}\` to be ${expected} but received ${config[name]}`);
  };
  if (hiddenSize % heads !== 0) refuse('hiddenSize', `a multiple of \`heads\`, ${heads},`);
  if (hiddenSize / heads > MAX_HEAD_SIZE) refuse('hiddenSize', `at most ${MAX_HEAD_SIZE} for each of ${heads} heads`);
  if (padToken >= vocabularySize) refuse('padToken', `a token of the vocabulary, 0 … ${vocabularySize - 1},`);
  return config;
}

/** The widest head of the attention instruction. */
const MAX_HEAD_SIZE = 256;
