/** A helper of a team in WASM, for as long as the barrier is measured. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Helper, helpIn } from './barrier.js';

parentPort?.postMessage('here');
helpIn(workerData as Helper);
