/** The channel to a machine in this thread: a queue. */
import { type Channel, ChannelExecutor, type Operation, type Outcome } from './channel.js';
import type { Executor } from './executor.js';
import type { Heap } from './heap.js';
import { type Loader, Machine } from './machine.js';

class LocalChannel implements Channel {
  readonly #machine: Machine;
  /** Settles with the last operation; never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #closed: Error | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  send<O extends Operation>(operation: O, ...args: Parameters<Machine[O]>): Promise<Outcome<O>> {
    const perform = this.#machine[operation].bind(this.#machine) as (...args: unknown[]) => unknown;
    const done = this.#last.then(() => this.#take(() => perform(...args)));
    this.#last = done.catch(() => undefined);
    return done as Promise<Outcome<O>>;
  }

  async #take(perform: () => unknown): Promise<unknown> {
    await yieldToEventLoop();
    if (this.#closed !== undefined) throw this.#closed;
    try {
      return await perform();
    } catch (error) {
      throw this.#closed ?? error; // closing stops what runs
    }
  }

  close(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#machine.close();
  }
}

/** How long work on this thread may go on before timers, I/O and signals get a turn. */
const TURN_MILLISECONDS = 5;
let lastTurn = 0;

async function yieldToEventLoop(): Promise<void> {
  if (performance.now() - lastTurn < TURN_MILLISECONDS) return;
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
  lastTurn = performance.now();
}

/** An executor whose machine is in this thread. */
export const localExecutor = (heap: Heap, loader: Loader): Executor =>
  new ChannelExecutor(heap.elementBytes, new LocalChannel(new Machine(heap, loader)));
