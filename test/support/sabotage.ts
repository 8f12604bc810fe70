/** A backend that does its work and then something wrong: it proves that a suite can fail. */
import type { Backend, HeapViews } from '../../src/backends/executor.js';
import { referenceBackend } from '../../src/backends/reference.js';
import { type AnyCall, decode, encode } from '../../src/program/encode.js';

export interface Sabotage {
  /** Changes what is run. */
  readonly call?: (call: AnyCall<number>) => AnyCall<number>;
  /** Changes memory after the run. */
  readonly memory?: (views: HeapViews, call: AnyCall<number>) => void;
}

export function sabotaged({ call: change = (call) => call, memory = () => {} }: Sabotage): Backend {
  const honest = referenceBackend();
  return {
    ...honest,
    attach(heap) {
      const executor = honest.attach(heap);
      return {
        load(words, dataElements) {
          const calls = decode(words);
          const program = executor.load(encode(calls.map(change)), dataElements);
          return {
            recordCount: program.recordCount,
            async run() {
              await program.run();
              for (const call of calls) memory(heap.views(), call);
            },
          };
        },
      };
    },
  };
}
