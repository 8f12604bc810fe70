/** Inputs that native/fuzz.cc begins with: programs that are without fault, on heaps that end where their operands end. */
import type { Backend } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { encoderBatch } from '../../src/data/encoder-batch.js';
import { BertForMaskedLM } from '../../src/models/bert-masked-lm.js';
import { SequenceClassifier } from '../../src/models/sequence-classifier.js';
import { extent, findFault, RESERVED_ELEMENTS } from '../../src/program/check.js';
import { type AnyCall, encode } from '../../src/program/encode.js';
import { type InstructionName, instructionNames, specOf } from '../../src/program/instructions.js';
import { Trainer } from '../../src/train/trainer.js';
import { texts } from '../models/examples.js';
import { smallModel, text } from '../train/text.js';

/** What native/fuzz.cc reads as an input. */
function inputOf(words: Int32Array, heapElements: number, kernels: number): Uint8Array {
  const heapSeed = words.length;
  return new Uint8Array(Int32Array.of(heapElements - RESERVED_ELEMENTS, kernels, heapSeed, 0, ...words).buffer);
}

interface Placed {
  readonly call: AnyCall<number>;
  /** Where its last operand ends. */
  readonly end: number;
}

/** A call with its operands one after the other; without the optional ones, if they are to be left out. */
function place(instruction: InstructionName, sizes: readonly number[], bare: boolean): Placed {
  const { operands, dims, scalars = [] } = specOf(instruction);
  const dimensions = Object.fromEntries(dims.map((name, index) => [name, sizes[index % sizes.length] as number]));
  const offsets: Record<string, number> = {};
  let end = RESERVED_ELEMENTS;
  for (const [name, spec] of Object.entries(operands)) {
    if (bare && spec.optional) continue;
    offsets[name] = end;
    end += extent(spec, dimensions);
  }
  return {
    call: {
      instruction,
      operands: offsets,
      dims: dimensions,
      scalars: Object.fromEntries(scalars.map((name) => [name, 0.5])),
    },
    end,
  };
}

const MOST_ELEMENTS = RESERVED_ELEMENTS + 40_000;

/** Dimensions in the order of the instruction's list, again and again: around vectors, tiles and tickets. */
const sizes: readonly (readonly number[])[] = [
  ...[[1], [2, 3, 4], [5], [17, 1], [16, 33, 1], [1, 3, 67], [20_000]],
  // A recurrence with more rows than a tile and more units than a vector; attention over more than a block of keys.
  ...[
    [3, 5, 33, 18, 1],
    [2, 70, 2, 5, 0, 3],
    [1, 130, 1, 4, 1, 0],
  ],
];

/**
 * Single calls of every instruction.
 * @throws RangeError if an instruction has no call that a check would let pass: nobody would fuzz its kernel.
 */
export function seeds(): Uint8Array[] {
  const inputs: Uint8Array[] = [];
  for (const name of instructionNames) {
    let accepted = 0;
    for (const dimensions of sizes) {
      for (const bare of [false, true]) {
        const { call, end } = place(name, dimensions, bare);
        if (end > MOST_ELEMENTS) continue;
        const words = encode([call]);
        if (findFault(words, end) === undefined) accepted++;
        inputs.push(inputOf(words, end, inputs.length));
      }
    }
    if (accepted === 0) throw new RangeError(`Expected a call of ${name} that can run but there is none`);
  }
  return inputs;
}

/** Trains a little on a backend. */
type Training = (backend: Backend) => Promise<void>;

const languageModel =
  (options: Parameters<typeof smallModel>[1]): Training =>
  async (backend) => {
    const model = await smallModel(backend, options);
    const trainer = new Trainer(model, { learningRate: 0.01, clipNorm: 1 });
    await trainer.fit(model.batches(text, { batch: 2, window: 4 }), { steps: 2 });
    await model.engine.close();
  };

/** Rows of unequal length, read in both directions. */
const classifier: Training = async (backend) => {
  const examples = texts(6);
  const options = {
    backend,
    hiddenSize: 5,
    embeddingSize: 3,
    pooling: 'max',
    kind: 'rnn',
    bidirectional: true,
  } as const;
  const model = await SequenceClassifier.fromExamples(examples, options);
  const trainer = new Trainer(model, { optimizer: { kind: 'sgd', momentum: 0.5 }, learningRate: 0.01 });
  await trainer.fit(model.batches(examples, { batch: 3 }), { steps: 1 });
  await model.engine.close();
};

/** Rows that are longer than a block of keys, with dropped probabilities. */
const bert =
  (activation: 'gelu' | 'gelu_new'): Training =>
  async (backend) => {
    const lengths = [67, 3];
    const sequences = lengths.map((length) => ({ tokens: Array.from({ length }, (_, t) => 1 + (t % 10)) }));
    const positions = Int32Array.of(2, 40, 68, 0);
    const labels = Int32Array.of(3, 9, -100, 1);
    const batch = { ...encoderBatch(sequences, { rows: 2, pad: 0, longest: 67 }), positions, labels };
    const model = await BertForMaskedLM.create({
      ...{ vocabularySize: 11, hiddenSize: 6, heads: 2, layers: 1, feedForwardSize: 9, maxPositions: 67 },
      ...{ dropout: 0.2, attentionDropout: 0.3, activation, backend },
    });
    await new Trainer(model, { learningRate: 0.01 }).fit(model.batches([batch, batch]));
    await model.engine.close();
  };

const trainings: Readonly<Record<string, Training>> = {
  LSTM: languageModel({ layers: 2, dropout: 0.2 }),
  'projected LSTM': languageModel({ projectionSize: 5, documentEnd: '.' }),
  GRU: languageModel({ kind: 'gru' }),
  'GRU of single steps': languageModel({ kind: 'gru', recurrentDropout: 0.2, zoneout: 0.1 }),
  RNN: classifier,
  BERT: bert('gelu'),
  'BERT with the other GELU': bert('gelu_new'),
};

/**
 * The programs of small trainings: what a planner really makes.
 * @throws RangeError if a training has none that is small enough for a fuzzer.
 */
export async function trainingSeeds(): Promise<Uint8Array[]> {
  const inputs: Uint8Array[] = [];
  const honest = referenceBackend();
  const recording: Backend = {
    ...honest,
    createExecutor() {
      const executor = honest.createExecutor();
      const load = executor.load.bind(executor);
      executor.load = (words, elements) => {
        if (elements <= MOST_ELEMENTS) inputs.push(inputOf(words, elements, inputs.length));
        return load(words, elements);
      };
      return executor;
    },
  };
  for (const [name, train] of Object.entries(trainings)) {
    const before = inputs.length;
    await train(recording);
    if (inputs.length === before)
      throw new RangeError(`Expected programs of a ${name} that are small enough for a fuzzer but there are none`);
  }
  return inputs;
}
