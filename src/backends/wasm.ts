/**
 * The WASM backend: the instructions in AssemblyScript, in two builds. The relaxed build may fuse multiply and add and needs an
 * engine with relaxed SIMD; the SIMD build never fuses, so strict numerics always takes it. Programs run on the calling thread.
 */
import { describeFault, faults, MalformedProgramError } from '../program/check.js';
import { fingerprint } from '../program/encode.js';
import { type Backend, type Numerics, RESERVED_ELEMENTS } from './executor.js';
import { MemoryHeap } from './heap.js';
import { localExecutor } from './local.js';
import { type Loader, type Runnable, timed } from './machine.js';

export type WasmIsa = 'wasm-relaxed' | 'wasm-simd';

export interface WasmOptions {
  /** `fast` takes the relaxed build where the engine accepts it. */
  readonly numerics?: Numerics;
  /** This build and no other. */
  readonly isa?: WasmIsa;
  /** A compiled build, for hosts that cannot fetch or compile one (edge workers). */
  readonly module?: WebAssembly.Module;
  readonly reason?: string;
}

/** A build that was tried. */
export interface WasmAttempt {
  readonly isa: WasmIsa;
  readonly module?: WebAssembly.Module;
  /** Why it cannot be used here. */
  readonly cause?: string;
}

/** No build can be used as asked. */
export class WasmUnavailableError extends Error {
  readonly code = 'ERR_SEQGRAD_BACKEND';
  override readonly name = 'WasmUnavailableError';
}

/** A program stopped on a trap; what it was to write is undefined. */
export class ProgramTrappedError extends Error {
  readonly code = 'ERR_SEQGRAD_TRAP';
  override readonly name = 'ProgramTrappedError';
}

/** What assembly/index.ts exports. */
interface WasmExports {
  contract(): number;
  relaxed(): number;
  check(words: number, count: number, heapElements: number): number;
  faultRecord(): number;
  workspace(words: number): number;
  run(words: number, first: number, last: number, workspace: number): void;
}

const files: Readonly<Record<WasmIsa, { readonly url: URL; readonly needs: string }>> = {
  'wasm-relaxed': {
    url: new URL('../../wasm/seqgrad.relaxed.wasm', import.meta.url),
    needs: 'relaxed SIMD (Node 20 has it behind --experimental-wasm-relaxed-simd)',
  },
  'wasm-simd': { url: new URL('../../wasm/seqgrad.simd.wasm', import.meta.url), needs: 'SIMD' },
};

/** Best first. */
const isas = Object.keys(files) as WasmIsa[];

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Reads files through `process` where there is one: an import of node:fs would stop bundlers for the browser. */
async function read(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const fs = globalThis.process?.getBuiltinModule?.('node:fs/promises');
  if (url.protocol === 'file:' && fs !== undefined) return new Uint8Array(await fs.readFile(url));
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const instantiate = (module: WebAssembly.Module, memory: WebAssembly.Memory): WasmExports =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;

/** Which build a module is, if it was built from this instruction list. */
function identify(module: WebAssembly.Module): WasmAttempt | { readonly cause: string } {
  let built: WasmExports;
  try {
    built = instantiate(module, new WebAssembly.Memory({ initial: 1, maximum: 1 }));
    if (built.contract() === fingerprint) return { isa: built.relaxed() === 1 ? 'wasm-relaxed' : 'wasm-simd', module };
  } catch (error) {
    return { cause: `not a module of seqgrad (${messageOf(error)})` };
  }
  return { cause: `built from instruction list ${built.contract()}, but this is ${fingerprint}: build again` };
}

const compiled = new Map<WasmIsa, WasmAttempt>();

async function attempt(isa: WasmIsa): Promise<WasmAttempt> {
  const known = compiled.get(isa);
  if (known !== undefined) return known;
  const { url, needs } = files[isa];
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await read(url);
  } catch (error) {
    return { isa, cause: `the file cannot be read (${messageOf(error)})` };
  }
  if (!WebAssembly.validate(bytes)) return { isa, cause: `this engine does not support ${needs}` };
  const found = { isa, ...identify(await WebAssembly.compile(bytes)) };
  if (found.cause === undefined) compiled.set(isa, found);
  return found;
}

/** Tries both builds, best first. */
export const probeWasm = (): Promise<WasmAttempt[]> => Promise.all(isas.map(attempt));

interface Choice {
  readonly module: WebAssembly.Module;
  readonly isa: WasmIsa;
  /** Better builds that cannot be used, each with its cause. */
  readonly passedOver: readonly string[];
}

async function choose({ numerics, isa, module }: WasmOptions): Promise<Choice> {
  if (numerics === 'strict' && isa === 'wasm-relaxed') {
    throw new WasmUnavailableError(
      'Expected isa wasm-simd for strict numerics but received wasm-relaxed, which may fuse',
    );
  }
  const wanted = isa ?? (numerics === 'strict' ? 'wasm-simd' : undefined);
  if (module !== undefined) {
    const given = identify(module);
    if (!('isa' in given)) throw new WasmUnavailableError(`the given module: ${given.cause}`);
    if (wanted !== undefined && given.isa !== wanted) {
      throw new WasmUnavailableError(`Expected a ${wanted} module but received ${given.isa}`);
    }
    return { module, isa: given.isa, passedOver: [] };
  }
  const passedOver: string[] = [];
  for (const candidate of wanted === undefined ? isas : [wanted]) {
    const { module: found, cause } = await attempt(candidate);
    if (found !== undefined) return { module: found, isa: candidate, passedOver };
    passedOver.push(`${candidate}: ${cause}`);
  }
  throw new WasmUnavailableError(passedOver.join('; '));
}

/** Whole cache lines. */
const aligned = (elements: number): number => Math.ceil(elements / 16) * 16;

class WasmLoader implements Loader {
  readonly #heap: MemoryHeap;
  readonly #wasm: WasmExports;
  /** Behind these elements lie the words of the program that runs, then its workspace. */
  #dataElements = RESERVED_ELEMENTS;

  constructor(heap: MemoryHeap, module: WebAssembly.Module) {
    this.#heap = heap;
    this.#wasm = instantiate(module, heap.memory);
  }

  load(program: Int32Array, dataElements: number): Runnable {
    this.#dataElements = Math.max(this.#dataElements, aligned(dataElements));
    this.#makeRoom(program.length);
    const result = this.#wasm.check(this.#place(program), program.length, dataElements);
    if (result !== 0) {
      const fault = { fault: faults[result & 0xff] ?? 'header', item: result >> 8, record: this.#wasm.faultRecord() };
      throw new MalformedProgramError(describeFault(program, fault, dataElements));
    }
    const privateElements = aligned(program.length) + this.#wasm.workspace(this.#place(program));
    this.#makeRoom(privateElements);
    return {
      recordCount: program[2] as number,
      run: (first, last, milliseconds) => {
        this.#makeRoom(privateElements); // a later program may have moved the end of the data
        const at = this.#place(program);
        if (milliseconds === undefined) this.#run(program, at, first, last);
        else timed(first, last, milliseconds, (record) => this.#run(program, at, record, record + 1));
      },
    };
  }

  #makeRoom(privateElements: number): void {
    this.#heap.grow(this.#dataElements + privateElements);
  }

  /** Copies the words behind the data: another program's may be there. */
  #place(words: Int32Array): number {
    new Int32Array(this.#heap.memory.buffer).set(words, this.#dataElements);
    return this.#dataElements * 4;
  }

  #run(words: Int32Array, at: number, first: number, last: number): void {
    try {
      this.#wasm.run(at, first, last, at + aligned(words.length) * 4);
    } catch (cause) {
      throw new ProgramTrappedError(
        `records ${first} to ${last} of a program of ${words[2]} stopped: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

/**
 * The WASM backend with the build that fits.
 * @throws WasmUnavailableError naming each build that was tried and its cause.
 */
export async function wasmBackend({ numerics = 'fast', ...options }: WasmOptions = {}): Promise<Backend> {
  const { module, isa, passedOver } = await choose({ ...options, numerics });
  const why = options.reason ?? (options.isa === undefined ? 'the best build that works' : 'asked for by name');
  return {
    name: 'wasm',
    isa,
    threads: 1,
    numerics,
    reason: [why, ...passedOver].join('; '),
    createExecutor() {
      const heap = new MemoryHeap();
      return localExecutor(heap, new WasmLoader(heap, module));
    },
  };
}
