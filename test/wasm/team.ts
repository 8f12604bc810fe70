/** The WASM modules driven directly, without the executor: lane 0 is this thread, each helper a worker over the same memory. */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';

export const buildNames = ['simd', 'relaxed', 'simd.shared', 'relaxed.shared'] as const;
export type BuildName = (typeof buildNames)[number];

/** What assembly/index.ts exports, as far as the suites use it. */
export interface Exports {
  contract(): number;
  relaxed(): number;
  shared(): number;
  check(words: number, count: number, heapElements: number): number;
  workspace(words: number): number;
  run(words: number, first: number, last: number, workspace: number): void;
  laneCount(): number;
  setLanes(lanes: number): void;
  help(lane: number): void;
  stop(): void;
  barrier(rounds: number): number;
}

export interface HelperData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly lane: number;
}

/** The compiled build, or `undefined` where this engine does not have what it needs. */
export async function compile(name: BuildName): Promise<WebAssembly.Module | undefined> {
  const bytes = new Uint8Array(await readFile(new URL(`../../wasm/seqgrad.${name}.wasm`, import.meta.url)));
  return WebAssembly.validate(bytes) ? WebAssembly.compile(bytes) : undefined;
}

/** The builds that work here. */
export const builds = new Map<BuildName, WebAssembly.Module>();
for (const name of buildNames) {
  const module = await compile(name);
  if (module !== undefined) builds.set(name, module);
}

export const instantiate = (module: WebAssembly.Module, memory: WebAssembly.Memory): Exports =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;

/** Where assembly/team.ts keeps how long lane 0 stays alone after a helper did not run, in elements. */
export const ALONE = (8192 + 5 * 64 + 12) / 4;
/** 64 MiB: data, then the words of a program, then its workspace. */
const PAGES = 1024;

export const newMemory = (shared: boolean, pages = 1): WebAssembly.Memory =>
  new WebAssembly.Memory(shared ? { initial: pages, maximum: pages, shared } : { initial: pages });

export class Team {
  readonly memory: WebAssembly.Memory;
  readonly lane0: Exports;
  readonly floats: Float32Array;
  readonly ints: Int32Array;
  readonly #module: WebAssembly.Module;
  readonly #helpers = new Map<Worker, Promise<unknown>>();

  constructor(build: BuildName) {
    this.#module = builds.get(build) as WebAssembly.Module;
    this.memory = newMemory(build.endsWith('.shared'), PAGES);
    this.lane0 = instantiate(this.#module, this.memory);
    this.floats = new Float32Array(this.memory.buffer);
    this.ints = new Int32Array(this.memory.buffer);
  }

  /** A team of so many lanes, all of them there. */
  static async of(build: BuildName, lanes: number): Promise<Team> {
    const team = new Team(build);
    team.lane0.setLanes(lanes);
    await Promise.all(Array.from({ length: lanes - 1 }, (_, index) => team.addHelper(index + 1)));
    return team;
  }

  /** Resolves when the helper is about to help. */
  async addHelper(lane: number): Promise<Worker> {
    const workerData: HelperData = { module: this.#module, memory: this.memory, lane };
    const helper = new Worker(new URL('./helper.js', import.meta.url), { workerData });
    this.#helpers.set(helper, new Promise((resolve) => helper.once('exit', resolve)));
    await new Promise((resolve, reject) => helper.once('message', resolve).once('error', reject));
    helper.unref();
    return helper;
  }

  /** Runs a program that touches the first `dataElements` once. Its rounds are shared out however busy this machine has been. */
  run(words: Int32Array, dataElements: number): void {
    const at = Math.ceil(Math.max(dataElements, RESERVED_ELEMENTS) / 16) * 16;
    const workspace = at + Math.ceil(words.length / 16) * 16;
    this.ints.set(words, at);
    const fault = this.lane0.check(at * 4, words.length, dataElements);
    if (fault !== 0) throw new Error(`the program has fault ${fault}`);
    const end = workspace + this.lane0.workspace(at * 4);
    if (end > this.ints.length) throw new Error(`Expected at most ${this.ints.length} elements but ${end} are needed`);
    this.ints.fill(0, ALONE, ALONE + 2);
    this.lane0.run(at * 4, 0, words[2] as number, workspace * 4);
  }

  /** Sends the helpers away and resolves when they are gone. */
  async dismiss(): Promise<void> {
    for (const helper of this.#helpers.keys()) helper.ref();
    this.lane0.stop();
    await Promise.all(this.#helpers.values());
    this.#helpers.clear();
  }
}
