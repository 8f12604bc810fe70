/** The executor that engines hold: it sends the operations of a machine down a channel, wherever the machine is. */
import {
  ClosedError,
  type ElementType,
  type Executor,
  type LoadedProgram,
  type Result,
  type Values,
} from './executor.js';
import type { Machine } from './machine.js';

export type Operation = Exclude<keyof Machine, 'close'>;
export type Outcome<O extends Operation> = Awaited<ReturnType<Machine[O]>>;

/** The way to a machine. Operations take effect in the order of the calls, each when the one before has settled. */
export interface Channel {
  send<O extends Operation>(operation: O, ...args: Parameters<Machine[O]>): Promise<Outcome<O>>;
  /** Rejects what is pending and ends what the machine holds. */
  close(error: Error): void;
}

const closed = (): Error => new ClosedError('Expected an open executor but it has been closed');

export class ChannelExecutor implements Executor {
  readonly #channel: Channel;
  #programs = 0;

  constructor(
    readonly elementBytes: 4 | 8,
    channel: Channel,
  ) {
    this.#channel = channel;
    forgotten.register(this, channel);
  }

  grow(elements: number): Promise<void> {
    return this.#channel.send('grow', elements);
  }

  write(address: number, type: ElementType, values: Values): Promise<void> {
    const Copy = this.elementBytes === 8 ? Float64Array : type === 'i32' ? Int32Array : Float32Array;
    return this.#channel.send('write', address, type, new Copy(values));
  }

  read(address: number, type: ElementType, elements: number): Promise<Result> {
    return this.#channel.send('read', address, type, elements);
  }

  clear(address: number, elements: number): Promise<void> {
    return this.#channel.send('clear', address, elements);
  }

  async load(words: Int32Array, dataElements: number): Promise<LoadedProgram> {
    const number = this.#programs++;
    const recordCount = await this.#channel.send('load', number, words.slice(), dataElements);
    return new ChannelProgram(this, this.#channel, number, recordCount);
  }

  async close(): Promise<void> {
    this.#channel.close(closed());
  }
}

class ChannelProgram implements LoadedProgram {
  readonly #channel: Channel;
  readonly #number: number;

  constructor(
    /** While there are programs to run, the executor is not forgotten. */
    readonly executor: Executor,
    channel: Channel,
    number: number,
    readonly recordCount: number,
  ) {
    this.#channel = channel;
    this.#number = number;
    unloading.register(this, { channel, number });
  }

  async run(first = 0, last = this.recordCount): Promise<void> {
    const isWithin = (record: number): boolean => Number.isInteger(record) && 0 <= record && record <= this.recordCount;
    if (!(isWithin(first) && isWithin(last) && first <= last)) {
      throw new RangeError(`Expected records within 0 to ${this.recordCount} but received ${first} to ${last}`);
    }
    return this.#channel.send('run', this.#number, first, last);
  }

  profile(): Promise<Float64Array> {
    return this.#channel.send('profile', this.#number);
  }
}

/** A machine forgets the programs that nobody can run any more. */
const unloading = new FinalizationRegistry(({ channel, number }: { channel: Channel; number: number }) => {
  channel.send('unload', number).catch(() => undefined); // it may have been closed
});

/** An executor that nobody holds any more is closed, when what was asked of it is done. */
const forgotten = new FinalizationRegistry(async (channel: Channel) => {
  await channel.send('clear', 0, 0).catch(() => undefined);
  channel.close(closed());
});
