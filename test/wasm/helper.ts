/** What a helper's worker does: helps until it is sent away. */
import { parentPort, workerData } from 'node:worker_threads';
import { type HelperData, instantiate } from './team.js';

const { module, memory, lane } = workerData as HelperData;
const { help } = instantiate(module, memory);
parentPort?.postMessage('here');
help(lane);
