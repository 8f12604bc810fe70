/** A training that knows nothing but what it is given: the same function runs in Node and, as text, in a page. */
import type { BackendOptions } from '../../src/backends/select.js';

export interface Told {
  readonly place: string;
  readonly threads: number;
  readonly reason: string;
  readonly losses: readonly number[];
  /** Bit patterns of all parameters. */
  readonly bits: readonly number[];
  /** How often a timer of 1 ms went off meanwhile. */
  readonly ticks: number;
}

export async function train(
  { CharacterVocabulary, loadBackend, LanguageModel, Trainer }: typeof import('../../src/index.js'),
  options: BackendOptions,
  steps: number,
): Promise<Told> {
  const text = 'a gate lets through what the cell keeps, and forgets the rest. '.repeat(60);
  const backend = await loadBackend({ numerics: 'strict', ...options });
  const vocabulary = CharacterVocabulary.fromText(text);
  const model = await LanguageModel.create({ vocabulary, hiddenSize: 64, dropout: 0.1, seed: 3, backend });
  const trainer = new Trainer(model, { learningRate: 0.01 });
  let ticks = 0;
  const timer = setInterval(() => {
    ticks++;
  }, 1);
  const taken = await trainer.fit(model.batches(text, { batch: 8, window: 64 }), { steps });
  clearInterval(timer);
  const bits: number[] = [];
  for (const [, values] of await model.readParameters()) bits.push(...new Int32Array(values.buffer));
  await model.engine.close();
  const { place, threads, reason } = backend;
  return { place, threads, reason, losses: taken.map(({ loss }) => loss), bits, ticks };
}
