/**
 * A cell of one's own, written in ops and trained like any other: the minimal gated unit (Zhou, Wu, Zhang & Zhou 2016), which has one gate.
 *
 *     f_t = σ(W_f x_t + U_f h_{t−1} + b_f)
 *     n_t = tanh(W_n x_t + U_n (f_t ⊙ h_{t−1}) + b_n)
 *     h_t = (1 − f_t) ⊙ h_{t−1} + f_t ⊙ n_t
 *
 * It learns to say at every step what it heard three steps before. Run as `node dist/examples/own-cell.js`.
 */
import {
  Arena,
  type Batch,
  type BatchShape,
  type Graph,
  Linear,
  loadBackend,
  Model,
  type Network,
  ops,
  Parameters,
  type Tensor,
  Trainer,
} from 'seqgrad';

const { add, divideBy, linear, mul, scale, sigmoid, slice, subtract, sum, tanh, unroll } = ops;
const [HIDDEN, DELAY] = [16, 3];

class MinimalGatedUnit implements Network {
  readonly parameters = new Parameters();
  readonly #input = new Linear(this.parameters.scope.child('input'), { inputSize: 1, outputSize: 2 * HIDDEN });
  readonly #hidden = new Linear(this.parameters.scope.child('hidden'), {
    inputSize: HIDDEN,
    outputSize: 2 * HIDDEN,
    bias: false,
  });
  readonly #output = new Linear(this.parameters.scope.child('output'), { inputSize: HIDDEN, outputSize: 1 });

  /** The state that rows carry from window to window. */
  stateArena(name: string, batch: number): Arena {
    const arena = new Arena(name);
    arena.add('h', [batch, HIDDEN]);
    return arena;
  }

  loss(graph: Graph, { time, batch }: BatchShape, state: Arena, denominator: Tensor) {
    const half = (x: Tensor, axis: number, part: number): Tensor => slice(x, axis, part * HIDDEN, (part + 1) * HIDDEN);
    const U = graph.read(this.#hidden.weight);
    // All that needs no state is one product for all steps; the cell gets its own step of it.
    const projected = this.#input.forward(graph.input('heard', [time, batch, 1]));
    const { output, last } = unroll(
      (x, [h = x]) => {
        const f = sigmoid(add(half(x, 1, 0), linear(h, half(U, 0, 0))));
        const n = tanh(add(half(x, 1, 1), linear(mul(f, h), half(U, 0, 1))));
        return [add(h, mul(f, subtract(n, h)))];
      },
      projected,
      [graph.read(state.get('h'))],
    );
    const error = subtract(this.#output.forward(output), graph.input('said', [time, batch, 1]));
    return { loss: divideBy(scale(sum(mul(error, error)), 0.5), denominator), next: last };
  }
}

/** Windows of streams of +1 and −1, and what was heard three steps before. */
function* echoes(time: number, batch: number): Generator<Batch, never> {
  let random = 1;
  const draw = (): number => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return random >>> 31 === 0 ? 1 : -1;
  };
  let past = Array.from({ length: DELAY * batch }, () => 0);
  for (let first = true; ; first = false) {
    const all = [...past, ...Array.from({ length: time * batch }, draw)];
    past = all.slice(time * batch);
    const inputs = { heard: all.slice(DELAY * batch), said: all.slice(0, time * batch) };
    yield { inputs, time, batch, labelCount: time * batch, first };
  }
}

const model = new Model(new MinimalGatedUnit(), await loadBackend());
await model.allocate();
await model.initialise(1);
const trainer = new Trainer(model, { learningRate: 1e-2 });
for await (const { step, loss } of trainer.train(echoes(12, 16), { steps: 400 })) {
  if (step === 1 || step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}
