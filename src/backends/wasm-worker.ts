/**
 * The script of a worker, `seqgrad/worker`: holds a WASM machine and performs what it is sent, or helps another that does.
 * The first message says which.
 */

import { builtin } from '../host/node.js';
import { pack } from './errors.js';
import { MemoryHeap } from './heap.js';
import { Machine } from './machine.js';
import type { Start, Started } from './peer.js';
import { buffersOf, type Reply, type Request } from './remote.js';
import { instantiate, type WasmExports, WasmLoader } from './wasm-loader.js';

/** What the two kinds of hosts have in common. */
interface Port {
  postMessage(message: Started | Reply, transfer?: ArrayBuffer[]): void;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
}

const port = (builtin('node:worker_threads')?.parentPort ?? globalThis) as unknown as Port;

let machine: Machine | undefined;
let last: Promise<void> = Promise.resolve();
port.onmessage = ({ data }) => {
  last = last.then(() => (machine === undefined ? start(data as Start) : answer(machine, data as Request)));
};

async function start({ module, memory, lane, lanes, lock }: Start): Promise<void> {
  try {
    if (lock !== undefined) await hold(lock);
    if (lane > 0) return help(instantiate(module, memory as WebAssembly.Memory), lane);
    const heap = new MemoryHeap(memory);
    machine = new Machine(heap, new WasmLoader(heap, module, lanes));
    port.postMessage({ started: true });
  } catch (error) {
    port.postMessage({ failed: pack(error).message });
  }
}

/** Works on what the first lane leaves, and ends with the worker. */
function help({ help }: WasmExports, lane: number): void {
  port.postMessage({ started: true });
  help(lane);
}

/** Holds a lock until this worker is gone. */
function hold(lock: string): Promise<void> {
  return new Promise((resolve) => {
    if (navigator.locks === undefined) return resolve();
    void navigator.locks.request(lock, () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
}

async function answer(machine: Machine, request: Request): Promise<void> {
  const reply: Reply[number][] = [];
  for (const [operation, ...args] of request) {
    const perform = machine[operation].bind(machine) as (...args: unknown[]) => unknown;
    try {
      reply.push({ value: await perform(...args) });
    } catch (error) {
      reply.push({ error: pack(error) });
    }
  }
  port.postMessage(reply, buffersOf(reply.map((its) => ('value' in its ? its.value : undefined))));
}
