/** Metrics of language models. */

/** exp(loss) of a mean loss in nats: among how many equally likely tokens the model is as uncertain. */
export const perplexity = (loss: number): number => Math.exp(loss);

/** What can be said of some tokens without looking at others. */
export interface UnigramBaseline {
  /** Entropy of the distribution of the tokens, in nats: the least loss of a model that knows nothing but how frequent each is. */
  readonly entropy: number;
  /** Accuracy of a model that always says the most frequent one. */
  readonly accuracy: number;
}

/** Of at least one token. */
export function unigramBaseline(tokens: Iterable<number>): UnigramBaseline {
  const counts = new Map<number, number>();
  let total = 0;
  for (const token of tokens) {
    counts.set(token, (counts.get(token) ?? 0) + 1);
    total++;
  }
  const shares = [...counts.values()].map((count) => count / total);
  return {
    entropy: shares.reduce((sum, share) => sum - share * Math.log(share), 0),
    accuracy: Math.max(...shares),
  };
}
