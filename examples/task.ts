/** The task of three examples: remember word 2 of a sequence until word T. A network for it, and batches without end. */
import {
  type Arena,
  type Batch,
  type BatchShape,
  Embedding,
  type Graph,
  inspect,
  Linear,
  type Mode,
  type Model,
  type Network,
  ops,
  Parameters,
  Recurrent,
  type RecurrentConfig,
  type Tensor,
} from 'seqgrad';

/** Words 0 … 3 are worth remembering: one of them is word 2. Words 4 … 7 are all the others. A guess is right once in 4 times. */
const [KEYS, WORDS] = [4, 8];

/** Words → recurrent layer → at every step, scores for what the word worth remembering was. */
export class RememberingNetwork implements Network {
  readonly parameters = new Parameters();
  readonly #embedding = new Embedding(this.parameters.scope.child('embedding'), { count: WORDS, size: WORDS });
  readonly #recurrent: Recurrent;
  readonly #head: Linear;

  constructor(readonly config: Omit<RecurrentConfig, 'inputSize'>) {
    const { scope } = this.parameters;
    this.#recurrent = new Recurrent(scope.child(config.kind), { ...config, inputSize: WORDS });
    this.#head = new Linear(scope.child('head'), { inputSize: this.#recurrent.outputSize, outputSize: KEYS });
  }

  stateArena(name: string, batch: number): Arena {
    return this.#recurrent.stateArena(name, batch);
  }

  loss(graph: Graph, { time, batch }: BatchShape, before: Arena, denominator: Tensor, mode: Mode) {
    const words = this.#embedding.forward(graph.input('words', [time, batch], 'i32'));
    const state = this.#recurrent.readState(graph, before);
    const { output, last } = graph.within(this.config.kind, () => this.#recurrent.forward(words, { state }, mode));
    const scores = this.#head.forward(output);
    graph.probe('words', words);
    graph.probe('scores', scores);
    const labels = graph.input('labels', [time * batch], 'i32');
    const loss = ops.crossEntropy(ops.reshape(scores, [time * batch, KEYS]), labels, denominator);
    return { loss, next: this.#recurrent.flatten(last) };
  }
}

/** Whole numbers below a bound, the same ones for the same seed (xorshift, Marsaglia 2003). */
function randomNumbers(seed: number): (bound: number) => number {
  let x = (seed * 0x9e3779b9) | 1;
  return (bound) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % bound;
  };
}

/** Batches of sequences of T words, time-major. Only the last step has a label, word 2; −100 is none. */
export function* sequences(T: number, rows: number, seed: number): Generator<Batch, never> {
  const below = randomNumbers(seed);
  for (;;) {
    const words = Int32Array.from({ length: T * rows }, (_, index) =>
      Math.floor(index / rows) === 1 ? below(KEYS) : KEYS + below(WORDS - KEYS),
    );
    const labels = new Int32Array(T * rows).fill(-100);
    labels.set(words.subarray(rows, 2 * rows), (T - 1) * rows);
    yield { inputs: { words, labels }, time: T, batch: rows, labelCount: rows, first: true };
  }
}

/** How often the highest score after the last of some windows is that of the right word. */
export async function accuracy(model: Model, windows: readonly Batch[]): Promise<number> {
  const seen = await inspect(model, windows, ['scores']);
  const last = seen.at(-1)?.get('scores');
  const [rows = 0, T = 0] = last?.shape ?? [];
  const labels = windows.at(-1)?.inputs.labels ?? [];
  let right = 0;
  for (let row = 0; row < rows; row++) {
    const scores = Array.from(last?.values.subarray((row * T + T - 1) * KEYS, (row * T + T) * KEYS) ?? []);
    if (scores.indexOf(Math.max(...scores)) === labels[(T - 1) * rows + row]) right++;
  }
  return right / rows;
}
