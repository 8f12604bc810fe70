/** Lane 0 in a worker: runs one program, and says when it is done. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiate } from './team.js';

interface CallerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly words: Int32Array;
  readonly dataElements: number;
}

const { module, memory, words, dataElements } = workerData as CallerData;
new Int32Array(memory.buffer).set(words, dataElements);
const workspace = (dataElements + words.length + 16) * 4;
instantiate(module, memory).run(dataElements * 4, 0, words[2] as number, workspace);
parentPort?.postMessage('done');
