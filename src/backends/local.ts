/** The channel to a machine in this thread: a queue. */
import { type Channel, ChannelExecutor, type Operation, type Outcome } from './channel.js';
import type { Executor } from './executor.js';
import type { Heap } from './heap.js';
import { type Loader, Machine } from './machine.js';

interface Pending {
  readonly operation: Operation;
  readonly args: readonly unknown[];
  resolve(value: unknown): void;
  reject(error: Error): void;
}

class LocalChannel implements Channel {
  readonly #machine: Machine;
  #pending: Pending[] = [];
  #isDraining = false;
  #closed: Error | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  send<O extends Operation>(operation: O, ...args: Parameters<Machine[O]>): Promise<Outcome<O>> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ operation, args, resolve: resolve as Pending['resolve'], reject });
      if (this.#isDraining) return;
      this.#isDraining = true;
      void this.#drain();
    });
  }

  /** Performs what is pending, one after the other; those that make no promise in one go. */
  async #drain(): Promise<void> {
    await undefined; // what is sent together is performed together
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      if (isTurnDue()) await giveTurn();
      try {
        if (this.#closed !== undefined) throw this.#closed;
        const outcome = this.#perform(next);
        next.resolve(outcome instanceof Promise ? await outcome : outcome);
      } catch (error) {
        next.reject(this.#closed ?? (error as Error)); // closing stops what runs
      }
    }
    this.#isDraining = false;
  }

  #perform({ operation, args }: Pending): unknown {
    return Reflect.apply(this.#machine[operation], this.#machine, args);
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

const isTurnDue = (): boolean => performance.now() - lastTurn >= TURN_MILLISECONDS;

async function giveTurn(): Promise<void> {
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
  lastTurn = performance.now();
}

/** An executor whose machine is in this thread. */
export const localExecutor = (heap: Heap, loader: Loader): Executor =>
  new ChannelExecutor(heap.elementBytes, new LocalChannel(new Machine(heap, loader)));
