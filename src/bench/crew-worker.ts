/** A worker of a crew: measures when the others do. */
import { parentPort, workerData } from 'node:worker_threads';
import { arrive, type CrewMember, take } from './crew.js';
import { createMeter, type Reading } from './meters.js';

const { kind, gate, size } = workerData as CrewMember;
const meter = createMeter(kind);
parentPort?.on('message', (reading: Reading) => {
  parentPort?.postMessage(take(meter, reading, () => arrive(gate, size)));
});
parentPort?.postMessage('ready');
