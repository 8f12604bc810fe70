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
      const { load } = executor;
      executor.load = async (words, dataElements): Promise<LoadedProgram> => {
        const calls = decode(words);
        const program = await load.call(executor, encode(calls.map(change)), dataElements);
        const { run } = program;
        program.run = async () => {
          await run.call(program);
          const ints = (await executor.read(0, 'i32', HEAP_ELEMENTS)) as Int32Array;
          const views = { ints, floats: new Float32Array(ints.buffer) };
          for (const call of calls) memory(views, call);
          await executor.write(0, 'i32', ints);
        };
        return program;
      };
      return executor;
    },
  };
}
