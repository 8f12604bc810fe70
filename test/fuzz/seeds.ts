/** Inputs that native/fuzz.cc begins with: programs that are without fault, on heaps that end where their operands end. */
import type { Backend } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { extent, RESERVED_ELEMENTS } from '../../src/program/check.js';
import { type AnyCall, encode } from '../../src/program/encode.js';
import { type InstructionName, instructionNames, specOf } from '../../src/program/instructions.js';
import { Trainer } from '../../src/train/trainer.js';
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
const sizes: readonly (readonly number[])[] = [[1], [2, 3, 4], [5], [17, 1], [16, 33, 1], [1, 3, 67], [20_000]];

export function seeds(): Uint8Array[] {
  const inputs: Uint8Array[] = [];
  for (const name of instructionNames) {
    for (const dimensions of sizes) {
      for (const bare of [false, true]) {
        const { call, end } = place(name, dimensions, bare);
        if (end <= MOST_ELEMENTS) inputs.push(inputOf(encode([call]), end, inputs.length));
      }
    }
  }
  return inputs;
}

/** The programs of a small training: what a planner really makes. */
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
  const model = await smallModel(recording, { layers: 2, dropout: 0.2 });
  const trainer = new Trainer(model, { learningRate: 0.01, clipNorm: 1 });
  await trainer.fit(model.batches(text, { batch: 2, window: 4 }), { steps: 2 });
  await model.engine.close();
  if (inputs.length === 0)
    throw new RangeError('Expected programs that are small enough for a fuzzer but there are none');
  return inputs;
}
