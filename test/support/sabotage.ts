/** A backend that does its work and then something wrong: it proves that a suite can fail. */
import type { Backend, LoadedProgram } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { type AnyCall, decode, encode } from '../../src/program/encode.js';
import { HEAP_ELEMENTS } from './layout.js';

/** Two views of the elements that suites use. */
export interface Memory {
  readonly floats: Float32Array;
  readonly ints: Int32Array;
}

export interface Sabotage {
  /** Changes what is run. */
  readonly call?: (call: AnyCall<number>) => AnyCall<number>;
  /** Changes memory after the run. */
  readonly memory?: (memory: Memory, call: AnyCall<number>) => void;
}

export function sabotaged({ call: change = (call) => call, memory = () => {} }: Sabotage): Backend {
  const honest = referenceBackend();
  return {
    ...honest,
    createExecutor() {
      const executor = honest.createExecutor();
      const load = executor.load.bind(executor);
      const read = executor.read.bind(executor);
      let ran: Promise<void> = Promise.resolve();
      /** Runs, then changes memory. */
      const sabotage = async (run: () => Promise<void>, calls: readonly AnyCall<number>[]): Promise<void> => {
        await run();
        const ints = (await read(0, 'i32', HEAP_ELEMENTS)) as Int32Array;
        const views = { ints, floats: new Float32Array(ints.buffer) };
        for (const call of calls) memory(views, call);
        await executor.write(0, 'i32', ints);
      };
      executor.load = async (words, dataElements): Promise<LoadedProgram> => {
        const calls = decode(words);
        const program = await load(encode(calls.map(change)), dataElements);
        const run = program.run.bind(program);
        program.run = () => {
          ran = sabotage(run, calls);
          return ran;
        };
        return program;
      };
      executor.read = async (address, type, elements) => {
        await ran.catch(() => undefined); // what is read after a run is what the run left, as of any executor
        return read(address, type, elements);
      };
      return executor;
    },
  };
}
