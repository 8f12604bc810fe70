/** BERT's configuration as a Hugging Face config.json has it. */
import { FormatError } from '../formats/errors.js';
import { type BertConfig, bertConfig, bertRules } from '../nn/bert-config.js';
import { built, type Fields, field, fromJson, optional, toJson } from './fields.js';

export type Json = Readonly<Record<string, unknown>>;

const fields: Fields<BertConfig> = {
  vocabularySize: field('vocab_size', bertRules.vocabularySize),
  hiddenSize: optional('hidden_size', bertRules.hiddenSize),
  layers: optional('num_hidden_layers', bertRules.layers),
  heads: optional('num_attention_heads', bertRules.heads),
  feedForwardSize: optional('intermediate_size', bertRules.feedForwardSize),
  maxPositions: optional('max_position_embeddings', bertRules.maxPositions),
  tokenTypes: optional('type_vocab_size', bertRules.tokenTypes),
  activation: optional('hidden_act', bertRules.activation),
  dropout: optional('hidden_dropout_prob', bertRules.dropout),
  attentionDropout: optional('attention_probs_dropout_prob', bertRules.attentionDropout),
  classifierDropout: optional('classifier_dropout', bertRules.classifierDropout),
  layerNormEpsilon: optional('layer_norm_eps', bertRules.layerNormEpsilon),
  initializerRange: optional('initializer_range', bertRules.initializerRange),
  padToken: optional('pad_token_id', bertRules.padToken),
  preNorm: optional('pre_norm', bertRules.preNorm),
  causal: optional('is_decoder', bertRules.causal),
};

/** What other models of the family have and this one does not. */
const only: Readonly<Record<string, readonly unknown[]>> = {
  model_type: ['bert'],
  position_embedding_type: ['absolute'],
  tie_word_embeddings: [true],
  add_cross_attention: [false],
};

/**
 * The encoder that a config.json describes; what it does not say is as in BERT-base.
 * @throws FormatError naming the field
 */
export function bertFromJson(json: Json, file: string): BertConfig {
  const said = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
  for (const [name, accepted] of Object.entries(only)) {
    const value = said[name];
    if (value === undefined || accepted.includes(value)) continue;
    const expected = accepted.map((each) => JSON.stringify(each)).join(' or ');
    throw new FormatError(file, undefined, `\`${name}\` to be ${expected}`, JSON.stringify(value));
  }
  return built(file, fields, () => bertConfig(fromJson(fields, said, file)));
}

/** A config.json, with all that an earlier one said besides. */
export const bertToJson = (config: BertConfig, architecture: string, before: Json = {}): Json => ({
  ...before,
  architectures: [architecture],
  model_type: 'bert',
  ...toJson(fields, config),
});

/**
 * The classes that a config.json names; undefined where it says nothing of any.
 * @throws FormatError
 */
export function labelsFromJson({ id2label, num_labels: count }: Json, file: string): readonly string[] | undefined {
  const refuse = (expected: string, received: unknown): never => {
    throw new FormatError(file, undefined, expected, JSON.stringify(received));
  };
  if (id2label !== undefined && id2label !== null) {
    const entries = Object.entries(id2label).sort(([a], [b]) => Number(a) - Number(b));
    if (!entries.every(([key, name], index) => key === `${index}` && typeof name === 'string' && name !== ''))
      refuse('`id2label` to name classes 0, 1, 2, …', id2label);
    const names = entries.map(([, name]) => name as string);
    if (new Set(names).size < names.length || names.length === 0)
      refuse('`id2label` to name different classes', id2label);
    return names;
  }
  if (count === undefined) return undefined;
  if (!bertRules.layers.accepts(count)) refuse('`num_labels` to be a whole number from 1', count);
  return Array.from({ length: count as number }, (_, index) => `LABEL_${index}`);
}

/** What config.json says of classes. */
export const labelsToJson = (labels: readonly string[]): Json => ({
  id2label: Object.fromEntries(labels.map((name, index) => [index, name])),
  label2id: Object.fromEntries(labels.map((name, index) => [name, index])),
});
