/** Metrics of language models. */

/** exp(loss) of a mean loss in nats: among how many equally likely tokens the model is as uncertain. */
export const perplexity = (loss: number): number => Math.exp(loss);
