/** Workers as the thread sees them that started them: the same in Node and in pages, and never lost without a word. */
import type { Worker as NodeWorker } from 'node:worker_threads';
import { builtin } from '../host/node.js';

export type AnyWorker = Worker | NodeWorker;

/** A worker died or could not be started. What was in its memory is lost. */
export class WorkerLostError extends Error {
  readonly code = 'ERR_SEQGRAD_WORKER';
  override readonly name = 'WorkerLostError';
}

/** The first message to a worker: what it is to be. */
export interface Start {
  readonly module: WebAssembly.Module;
  /** Shared with the other lanes; without it the worker makes its own, for itself alone. */
  readonly memory: WebAssembly.Memory | undefined;
  /** 0 runs programs, the others help. */
  readonly lane: number;
  readonly lanes: number;
  /** A lock that the worker holds while it lives, in pages, where nobody else would tell that it is gone. */
  readonly lock: string | undefined;
}

/** The first message from a worker. */
export type Started = { readonly started: true } | { readonly failed: string };

export const hasWorkers = (): boolean => builtin('node:worker_threads') !== undefined || typeof Worker === 'function';

/** A new worker for `seqgrad/worker`, or for the script at `url`, which must do what that does. @throws what the host throws */
export function startWorker(url?: string | URL): AnyWorker {
  const node = builtin('node:worker_threads');
  if (node !== undefined) {
    const script = url ?? new URL('./wasm-worker.js', import.meta.url);
    const isFileUrl = typeof script === 'string' && script.startsWith('file:');
    // The options of the process (a debugger's port, loaders) are not for this thread.
    return new node.Worker(isFileUrl ? new URL(script) : script, { execArgv: [], name: 'seqgrad' });
  }
  if (url !== undefined) return new Worker(url, { type: 'module', name: 'seqgrad' });
  return new Worker(new URL('./wasm-worker.js', import.meta.url), { type: 'module' }); // bundlers look for these very words
}

export interface PeerEvents {
  started?(): void;
  /** Every message but the first. */
  message(data: unknown): void;
  /** The worker is of no use any more: why, in words. Called once, and not after {@link Peer.end}. */
  lost(what: string): void;
}

/** A worker that has not started after so many looks is lost. A process that was stopped for a while has not looked meanwhile. */
const PATIENCE_LOOKS = 30;
const LOOK_MILLISECONDS = 1000;

/** A worker that has been told what to be. It does not keep the process alive, unless `ref` says so. */
export class Peer {
  readonly #worker: AnyWorker;
  readonly #events: PeerEvents;
  readonly #lock: string | undefined;
  readonly #patience: ReturnType<typeof setInterval>;
  #started = false;
  #ended = false;

  constructor(worker: AnyWorker, start: Omit<Start, 'lock'>, events: PeerEvents) {
    this.#worker = worker;
    this.#events = events;
    if ('on' in worker) {
      worker.on('message', (data) => this.#receive(data));
      worker.on('error', (error) => this.#lose(messageOf(error)));
      worker.on('exit', (code) => this.#lose(`it ended with exit code ${code}`));
      worker.unref();
    } else {
      this.#lock = `seqgrad ${performance.now()} ${Math.random()}`;
      worker.addEventListener('message', ({ data }) => this.#receive(data));
      worker.addEventListener('error', ({ message }) => this.#lose(message || 'its script does not load'));
    }
    this.post({ ...start, lock: this.#lock } satisfies Start);
    let looks = 0;
    this.#patience = setInterval(() => {
      if (++looks === PATIENCE_LOOKS) this.#lose('it does not start');
    }, LOOK_MILLISECONDS);
    this.#patience.unref?.(); // in Node it would keep the process
  }

  #receive(data: unknown): void {
    if (this.#started) this.#events.message(data);
    else this.#begin(data as Started);
  }

  #begin(started: Started): void {
    this.#started = true;
    clearInterval(this.#patience);
    if ('failed' in started) {
      this.#lose(started.failed);
      return;
    }
    // The lock comes to this thread when the worker is gone.
    if (this.#lock !== undefined) void navigator.locks?.request(this.#lock, () => this.#lose('it was terminated'));
    this.#events.started?.();
  }

  post(message: unknown, transfer: readonly Transferable[] = []): void {
    this.#worker.postMessage(message, transfer as ArrayBuffer[]);
  }

  ref(): void {
    if ('on' in this.#worker) this.#worker.ref();
  }

  unref(): void {
    if ('on' in this.#worker) this.#worker.unref();
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#patience);
    void this.#worker.terminate();
  }

  #lose(what: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#patience);
    this.#events.lost(what);
  }
}

/** Tries whether a worker starts; what stands in the way, or undefined. */
export function whyNoWorker(hire: () => AnyWorker, start: Omit<Start, 'lock'>): Promise<string | undefined> {
  return new Promise((resolve) => {
    let peer: Peer | undefined;
    const end = (cause?: string): void => {
      peer?.end();
      resolve(cause);
    };
    try {
      peer = new Peer(hire(), start, { started: end, lost: end, message: () => undefined });
      peer.ref();
    } catch (error) {
      end(messageOf(error));
    }
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
