/** BERT as a masked language model that is asked for every position, its decoder tied to the words' table, without dropout. */
import { MaskedLanguageModelNetwork } from '../models/networks/bert.js';
import { type BertConfig, bertConfig } from '../nn/bert-config.js';
import { type BenchModel, type Sizes, textOf, WINDOWS } from './cell.js';

/** BERT-tiny. */
const usual = { hidden: 128, layers: 2, vocabulary: 8192, batch: 8, time: 128 };
/** Elements of a head in every preset. */
const HEAD_SIZE = 64;

/** @throws OptionError for sizes that do not fit each other */
const configOf = ({ hidden, layers, vocabulary, time, heads, feedForward }: Sizes): BertConfig =>
  bertConfig({
    vocabularySize: vocabulary,
    hiddenSize: hidden,
    layers,
    heads,
    feedForwardSize: feedForward,
    maxPositions: time,
    dropout: 0,
    attentionDropout: 0,
  });

/** What stands for a token that is to be guessed, and how many tokens there are for one of these. */
const MASK = 0;
const MASKED_OF = 7;

export const bertModel: BenchModel = {
  complete(given) {
    const { hidden } = { ...usual, ...given };
    const sizes = { heads: Math.max(1, Math.floor(hidden / HEAD_SIZE)), feedForward: 4 * hidden, ...usual, ...given };
    configOf(sizes);
    return sizes;
  },

  describe: ({ hidden, layers, heads, feedForward, vocabulary }) =>
    `BERT ${hidden} × ${layers}, ${heads} head${heads === 1 ? '' : 's'}, feed-forward ${feedForward}, vocabulary ${vocabulary}`,

  network: (sizes) => new MaskedLanguageModelNetwork(configOf(sizes)),

  forwardFlopsPerToken({ hidden: C, layers, vocabulary, time, feedForward: F = 0 }) {
    const projections = C * 3 * C + C * C; // to Q, K and V, and from the heads
    const attention = time * C + time * C; // Q · Kᵀ and probabilities · V
    return 2 * (layers * (projections + attention + 2 * C * F) + C * C + C * vocabulary);
  },

  *batches(sizes) {
    const { batch, time } = sizes;
    const count = batch * time;
    const text = textOf(sizes);
    const types = new Int32Array(count);
    const mask = new Int32Array(count).fill(1);
    for (let window = 0; ; window = (window + 1) % WINDOWS) {
      const labels = text.slice(window * count, (window + 1) * count);
      const tokens = labels.map((token, index) => (index % MASKED_OF === 0 ? MASK : token));
      yield { inputs: { tokens, types, mask, labels }, time, batch, labelCount: count, first: true };
    }
  },

  smaller(sizes) {
    const heads = Math.min(sizes.heads as number, 2);
    return {
      ...sizes,
      hidden: heads * Math.min(sizes.hidden / (sizes.heads as number), 21),
      vocabulary: Math.min(sizes.vocabulary, 51),
      batch: Math.min(sizes.batch, 3),
      time: Math.min(sizes.time, 5),
      heads,
      feedForward: Math.min(sizes.feedForward as number, 51),
    };
  },
};
