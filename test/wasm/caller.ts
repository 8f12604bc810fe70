/** Lane 0 in a worker: runs one program and then puts 1 into the last element of memory. */
import { workerData } from 'node:worker_threads';
import { instantiate } from './team.js';

interface CallerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly words: Int32Array;
  readonly dataElements: number;
}

const { module, memory, words, dataElements } = workerData as CallerData;
const ints = new Int32Array(memory.buffer);
ints.set(words, dataElements);
const workspace = (dataElements + words.length + 16) * 4;
instantiate(module, memory).run(dataElements * 4, 0, words[2] as number, workspace);
Atomics.store(ints, ints.length - 1, 1);
