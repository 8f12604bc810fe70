/**
 * The native kernels without Node, as a backend: native/replay.cc in a process of its own, perhaps emulated or sanitized. It is
 * for tests, which learn of it from SEQGRAD_REPLAY (`npm run test:arm64`, `test:asan`, `test:tsan`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { type Channel, ChannelExecutor, type Operation, type Outcome } from '../../src/backends/channel.js';
import {
  type Backend,
  type Bfloat16Unit,
  type ElementType,
  type Numerics,
  OutOfMemoryError,
} from '../../src/backends/executor.js';
import { describeFault, faults, MalformedProgramError } from '../../src/program/check.js';

/** Kernels that are asked for: `place` tells them from others, `command` is followed by replay's own arguments. */
export interface Asked {
  readonly place: string;
  readonly isa: string;
  readonly command: readonly string[];
}

export const askedOfReplay = (): readonly Asked[] => JSON.parse(process.env.SEQGRAD_REPLAY ?? '[]');

/** As in native/replay.cc. */
const commands = { grow: 1, write: 2, read: 3, clear: 4, check: 5, run: 6, profile: 7 } as const;
const [DONE, FAULT] = [0, 1];
/** 4 GiB, as of every heap. */
const MOST_ELEMENTS = 2 ** 30;

interface Request {
  readonly command: keyof typeof commands;
  readonly address?: number;
  readonly elements?: number;
  readonly first?: number;
  readonly last?: number;
  readonly words?: Int32Array;
}

interface Reply {
  readonly status: number;
  readonly words: Int32Array;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** The process; replies come in the order of the requests. */
class Replay {
  readonly #child: ChildProcess;
  readonly #waiting: Waiting[] = [];
  #received = Buffer.alloc(0);
  #said = '';
  #ended: Error | undefined;

  constructor([program, ...args]: readonly string[]) {
    this.#child = spawn(program as string, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdin, stdout, stderr } = this.#child;
    stdout?.on('data', (bytes: Buffer) => this.#receive(bytes));
    stderr?.on('data', (bytes: Buffer) => {
      this.#said += bytes;
    });
    stdin?.on('error', () => {}); // it has ended, which `close` says too
    this.#child.on('error', (error) => this.end(error));
    this.#child.on('close', (code, signal) => {
      this.end(new Error(`replay ended with ${code ?? signal}: ${this.#said.slice(0, 4000)}`));
    });
    this.#keepAlive(false);
  }

  /** Waiting for a reply keeps this process alive, the other one being there does not. */
  #keepAlive(alive: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const handle of [this.#child, stdin as Socket, stdout as Socket, stderr as Socket]) {
      if (alive) handle.ref();
      else handle.unref();
    }
  }

  ask({ command, address = 0, elements = 0, first = 0, last = 0, words }: Request): Promise<Reply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const head = Int32Array.of(commands[command], address, elements, first, last, words?.length ?? 0);
    this.#child.stdin?.write(new Uint8Array(head.buffer));
    if (words !== undefined) {
      this.#child.stdin?.write(new Uint8Array(words.buffer, words.byteOffset, words.byteLength).slice());
    }
    if (this.#waiting.length === 0) this.#keepAlive(true);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    while (this.#received.length >= 8) {
      const end = 8 + 4 * this.#received.readUInt32LE(4);
      if (this.#received.length < end) return;
      const status = this.#received.readUInt32LE(0);
      const words = new Int32Array(new Uint8Array(this.#received.subarray(8, end)).buffer);
      this.#received = this.#received.subarray(end);
      this.#waiting.shift()?.resolve({ status, words });
      if (this.#waiting.length === 0) this.#keepAlive(false);
    }
  }

  end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#child.stdin?.end();
    this.#keepAlive(false);
  }
}

/** A run of an executor's operations as requests to replay, which keeps the heap but no programs. */
class ReplayChannel implements Channel {
  readonly #replay: Replay;
  readonly #programs = new Map<number, { readonly words: Int32Array; readonly elements: number; count: number }>();

  constructor(replay: Replay) {
    this.#replay = replay;
  }

  readonly #operations: { [O in Operation]: (...args: never[]) => Promise<unknown> } = {
    grow: async (elements: number) => {
      const isDone =
        elements <= MOST_ELEMENTS && (await this.#replay.ask({ command: 'grow', elements })).status === DONE;
      if (!isDone)
        throw new OutOfMemoryError(`Expected the heap to grow to ${elements * 4} bytes but that cannot be had`);
    },
    write: (address: number, type: ElementType, values: ArrayLike<number>) => {
      const words = type === 'i32' ? Int32Array.from(values) : new Int32Array(Float32Array.from(values).buffer);
      return this.#done({ command: 'write', address, words });
    },
    read: async (address: number, type: ElementType, elements: number) => {
      const words = await this.#done({ command: 'read', address, elements });
      return type === 'i32' ? words : new Float32Array(words.buffer);
    },
    clear: (address: number, elements: number) => this.#done({ command: 'clear', address, elements }),
    load: async (program: number, words: Int32Array, elements: number) => {
      const { status, words: found } = await this.#replay.ask({ command: 'check', elements, words });
      if (status === FAULT) {
        const [fault = 0, record = 0, item = 0] = found;
        const its = { fault: faults[fault] ?? 'header', record, item };
        throw new MalformedProgramError(describeFault(words, its, elements));
      }
      const [count = 0] = found;
      this.#programs.set(program, { words, elements, count });
      return count;
    },
    unload: async (program: number) => {
      this.#programs.delete(program);
    },
    run: (program: number, first: number, last: number) => this.#run('run', program, first, last),
    profile: async (program: number) => {
      const count = this.#programs.get(program)?.count ?? 0;
      return new Float64Array((await this.#run('profile', program, 0, count)).buffer);
    },
  };

  async #done(request: Request): Promise<Int32Array> {
    const { status, words } = await this.#replay.ask(request);
    if (status !== DONE) throw new Error(Buffer.from(words.buffer).toString());
    return words;
  }

  #run(command: 'run' | 'profile', number: number, first: number, last: number): Promise<Int32Array> {
    const program = this.#programs.get(number);
    if (program === undefined) throw new Error(`Expected a loaded program but received ${number}`);
    return this.#done({ command, first, last, words: program.words, elements: program.elements });
  }

  send<O extends Operation>(operation: O, ...args: unknown[]): Promise<Outcome<O>> {
    return this.#operations[operation](...(args as never[])) as Promise<Outcome<O>>;
  }

  close(error: Error): void {
    this.#replay.end(error);
  }
}

/** Whether kernels have strict numerics: all but those of the matrix unit, which adds in an order of its own. */
export const takesStrict = (isa: string): boolean => isa !== 'amx';

interface ReplayOptions {
  readonly command: readonly string[];
  readonly isa: string;
  readonly numerics: Numerics;
  readonly threads: number;
  /** Default: the simplest that the ISA has. */
  readonly bfloat16?: Bfloat16Unit;
}

export function replayBackend(options: ReplayOptions): Backend {
  const { command, isa, numerics, threads, bfloat16 = isa === 'amx' ? 'amx' : 'emulated' } = options;
  return {
    name: 'native',
    ...{ isa, numerics, threads, bfloat16 },
    place: 'a process of its own',
    reason: 'asked for by SEQGRAD_REPLAY',
    createExecutor: () =>
      new ChannelExecutor(
        4,
        new ReplayChannel(new Replay([...command, 'serve', isa, numerics, `${threads}`, bfloat16])),
      ),
  };
}
