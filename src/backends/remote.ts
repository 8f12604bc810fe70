/** The channel to a machine in a worker: operations go as messages, pipelined, and come back in the same order. */
import { type Channel, ChannelExecutor, type Operation, type Outcome } from './channel.js';
import { type PackedError, unpack } from './errors.js';
import type { Executor } from './executor.js';
import type { Machine } from './machine.js';
import { type AnyWorker, Peer, WorkerLostError } from './peer.js';

/** What is sent in one go: operations with their arguments. The worker takes the arrays among them over. */
export type Request = readonly (readonly [operation: Operation, ...args: unknown[]])[];
/** One for each operation. */
export type Reply = readonly ({ readonly value: unknown } | { readonly error: PackedError })[];

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The memory of typed arrays among some values. */
export const buffersOf = (values: readonly unknown[]): ArrayBuffer[] =>
  values.filter(ArrayBuffer.isView).map(({ buffer }) => buffer as ArrayBuffer);

/** Who works on a machine: one worker that runs programs, and helpers that share its memory. */
export interface Crew {
  readonly module: WebAssembly.Module;
  readonly lanes: number;
  /** Given where there is more than one lane. */
  readonly memory: WebAssembly.Memory | undefined;
  /** @throws what the host throws where there are no more workers. */
  hire(): AnyWorker;
}

class RemoteChannel implements Channel {
  readonly #peers: Peer[] = [];
  #pending: Pending[] = [];
  #outbox: [Operation, ...unknown[]][] = [];
  #ended: Error | undefined;

  constructor({ module, lanes, memory, hire }: Crew) {
    const lost = (what: string): void => this.close(new WorkerLostError(`a worker of this engine is lost: ${what}`));
    try {
      for (let lane = 0; lane < lanes; lane++) {
        const message = (data: unknown): void => this.#receive(data as Reply);
        this.#peers.push(new Peer(hire(), { module, memory, lane, lanes }, { message, lost }));
      }
    } catch (cause) {
      const error = new WorkerLostError(`a worker cannot be started: ${cause}`, { cause });
      this.close(error);
      throw error;
    }
  }

  send<O extends Operation>(operation: O, ...args: Parameters<Machine[O]>): Promise<Outcome<O>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#pending.length === 0) this.#peers[0]?.ref();
    if (this.#outbox.push([operation, ...args]) === 1) queueMicrotask(() => this.#flush());
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve: resolve as Pending['resolve'], reject });
    });
  }

  close(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const peer of this.#peers) peer.end();
    for (const { reject } of this.#pending) reject(error);
    this.#pending = [];
    this.#outbox = [];
  }

  #flush(): void {
    const request = this.#outbox;
    this.#outbox = [];
    if (request.length > 0) this.#peers[0]?.post(request, buffersOf(request.flat()));
  }

  #receive(reply: Reply): void {
    if (this.#ended !== undefined) return;
    const settled = this.#pending.splice(0, reply.length);
    if (this.#pending.length === 0) this.#peers[0]?.unref();
    for (const [index, { resolve, reject }] of settled.entries()) {
      const its = reply[index] as Reply[number];
      if ('error' in its) reject(unpack(its.error));
      else resolve(its.value);
    }
  }
}

/** An executor whose machine is in a worker. @throws WorkerLostError if a worker cannot be started. */
export const remoteExecutor = (crew: Crew): Executor => new ChannelExecutor(4, new RemoteChannel(crew));
