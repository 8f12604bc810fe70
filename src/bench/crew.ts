/** Several threads that measure a limit of the machine at the same moment: this one, and workers for the others. */
import { Worker } from 'node:worker_threads';
import { createMeter, type Meter, type MeterKind, type Reading } from './meters.js';

/** What a worker of the crew is started with. */
export interface CrewMember {
  readonly kind: MeterKind;
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly size: number;
}

/** Waits until all are there; the last one lets everybody go. The gate counts arrivals, round after round. */
export function arrive(gate: Int32Array<SharedArrayBuffer>, size: number): void {
  const arrived = Atomics.add(gate, 0, 1) + 1;
  const round = Math.ceil(arrived / size) * size;
  if (arrived === round) Atomics.notify(gate, 0);
  else for (let seen = arrived; seen < round; seen = Atomics.load(gate, 0)) Atomics.wait(gate, 0, seen);
}

export class Crew {
  readonly #meter: Meter;
  readonly #workers: readonly Worker[];
  readonly #gate = new Int32Array(new SharedArrayBuffer(4));
  readonly #size: number;

  /** Use {@link Crew.gather}. */
  private constructor(kind: MeterKind, size: number) {
    this.#size = size;
    this.#meter = createMeter(kind);
    const member: CrewMember = { kind, gate: this.#gate, size };
    const url = new URL('./crew-worker.js', import.meta.url);
    this.#workers = Array.from({ length: size - 1 }, () => new Worker(url, { workerData: member }));
    for (const worker of this.#workers) worker.unref();
  }

  /** @param size of the crew, this thread included. */
  static async gather(kind: MeterKind, size: number): Promise<Crew> {
    const crew = new Crew(kind, size);
    await Promise.all(crew.#workers.map(answerOf<'ready'>));
    return crew;
  }

  /** The sum of what all of them measure at the same time. It keeps this thread for that long. */
  async measure(reading: Reading): Promise<number> {
    const answers = this.#workers.map(answerOf<number>);
    for (const worker of this.#workers) worker.postMessage(reading);
    const own = take(this.#meter, reading, () => arrive(this.#gate, this.#size));
    return (await Promise.all(answers)).reduce((sum, rate) => sum + rate, own);
  }

  async disband(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** Measures twice: a core that has just done something else does not have its widest units ready. */
export function take(meter: Meter, reading: Reading, arrive: () => void): number {
  arrive();
  meter({ ...reading, milliseconds: reading.milliseconds / 2 });
  return meter(reading);
}

const answerOf = <T>(worker: Worker): Promise<T> =>
  new Promise((resolve, reject) => {
    worker.ref();
    const settle = (done: () => void): void => {
      worker.off('message', succeed).off('error', fail).unref();
      done();
    };
    const succeed = (answer: T): void => settle(() => resolve(answer));
    const fail = (error: unknown): void => settle(() => reject(error));
    worker.on('message', succeed).on('error', fail);
  });
