/** Cells so small that the reference trains them at once, and a backend that leaves something out. */
import type { Backend } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { type Cell, cellOf } from '../../src/bench/models.js';
import { decode } from '../../src/program/encode.js';

export const reference = referenceBackend({ isa: 'float32' });
export const exact = referenceBackend({ isa: 'float64' });
const sizes = { hidden: 8, layers: 1, vocabulary: 10, batch: 3, time: 4 };
export const small: Cell = cellOf('lstm', sizes);
export const smallBert: Cell = cellOf('bert', { ...sizes, heads: 2, feedForward: 12 });

/** The reference, but it leaves out the instruction at `skipped` of the program that has `marker` in it. */
export function leavingOut(marker: string, skipped: number): Backend {
  return {
    ...reference,
    createExecutor() {
      const executor = reference.createExecutor();
      const { load } = executor;
      executor.load = async (words, dataElements) => {
        const program = await load.call(executor, words, dataElements);
        if (!decode(words).some(({ instruction }) => instruction === marker)) return program;
        const run = program.run.bind(program);
        program.run = async () => {
          await Promise.all([run(0, skipped), run(skipped + 1)]); // both are asked for before anything else is
        };
        return program;
      };
      return executor;
    },
  };
}
