/** Drawing a token from logits: temperature, top-k, and a seed that gives the same text everywhere. */
import { atLeast, checkOptions, wholeNumber } from '../program/options.js';
import { philox } from '../program/philox.js';

export interface SamplingOptions {
  /** Logits are divided by it; 0 always takes the likeliest token. Default 1. */
  readonly temperature?: number;
  /** Only the k likeliest tokens are drawn. Default: all. */
  readonly topK?: number;
  /** Default 1. */
  readonly seed?: number;
}

export const samplingRules = {
  temperature: atLeast(0),
  topK: wholeNumber(1),
  seed: wholeNumber(0),
};

/** A function from logits to a token; each call draws the next random number. @throws OptionError */
export function sampler(options: SamplingOptions = {}): (logits: ArrayLike<number>) => number {
  checkOptions('sampling', options, samplingRules);
  const { temperature = 1, topK = Number.POSITIVE_INFINITY, seed = 1 } = options;
  let drawn = 0;
  return (logits) => {
    const ranked = Array.from(logits, (logit, token) => ({ logit, token }));
    ranked.sort((a, b) => b.logit - a.logit || a.token - b.token);
    const [best] = ranked;
    if (best === undefined) throw new RangeError('sampling: Expected logits but received none');
    if (temperature === 0) return best.token;
    const kept = ranked.slice(0, topK);
    const weights = kept.map(({ logit }) => Math.exp((logit - best.logit) / temperature));
    const [word] = philox([drawn++, 0, 0, 0], [seed | 0, Math.floor(seed / 2 ** 32) | 0]);
    let rest = (word / 2 ** 32) * weights.reduce((sum, weight) => sum + weight, 0);
    const index = weights.findIndex((weight) => {
      rest -= weight;
      return rest < 0;
    });
    return (kept.at(index) ?? best).token;
  };
}
