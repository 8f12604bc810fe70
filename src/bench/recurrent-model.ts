/** Character-level language models: Embedding(V, H) → recurrent layers → Linear(H, V). */
import { trainingWindows } from '../data/streams.js';
import { LanguageModelNetwork } from '../nn/language-model.js';
import { OptionError } from '../program/options.js';
import { type BenchModel, textOf } from './cell.js';

const usual = { hidden: 128, layers: 1, vocabulary: 96, batch: 32, time: 64 };

/** A layer has `gates` gates of H units. */
export const recurrentModel = (kind: 'rnn' | 'lstm' | 'gru', gates: number): BenchModel => ({
  complete(given) {
    for (const name of ['heads', 'feedForward'] as const) {
      if (given[name] === undefined) continue;
      throw new OptionError(`bench: Expected no \`${name}\` beside the model ${kind}, only bert has that`);
    }
    return { ...usual, ...given };
  },

  describe: ({ hidden, layers, vocabulary }) =>
    `Embedding(${vocabulary}, ${hidden}) → ${kind.toUpperCase()} ${hidden}${layers > 1 ? ` × ${layers}` : ''} → Linear(${hidden}, ${vocabulary})`,

  network: ({ hidden, layers, vocabulary }) =>
    new LanguageModelNetwork({
      kind,
      vocabularySize: vocabulary,
      embeddingSize: hidden,
      hiddenSize: hidden,
      layers,
      dropout: 0,
    }),

  forwardFlopsPerToken: ({ hidden, layers, vocabulary }) =>
    2 * (layers * gates * hidden * (hidden + hidden) + hidden * vocabulary),

  /** State is carried from one batch to the next. */
  *batches(sizes) {
    const { batch, time } = sizes;
    for (const { inputs, labels, first } of trainingWindows(textOf(sizes), { batch, window: time })) {
      yield { inputs: { tokens: inputs, labels }, time, batch, labelCount: labels.length, first };
    }
    throw new Error('unreachable: training windows have no end');
  },

  smaller: (sizes) => ({
    ...sizes,
    hidden: Math.min(sizes.hidden, 42),
    vocabulary: Math.min(sizes.vocabulary, 51),
    batch: Math.min(sizes.batch, 3),
    time: Math.min(sizes.time, 5),
  }),
});
