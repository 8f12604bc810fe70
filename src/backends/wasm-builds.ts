/** The WASM builds, {simd, relaxed} × {for one thread, for shared memory}: which of them can be used here, by validating the bytes. */

import { builtin } from '../host/node.js';
import { fingerprint } from '../program/encode.js';
import { whyNotShared } from './heap.js';
import { instantiate } from './wasm-loader.js';

export type WasmIsa = 'wasm-relaxed' | 'wasm-simd';

export interface WasmBuild {
  readonly isa: WasmIsa;
  /** A build for shared memory refuses memory that is not, and the reverse. */
  readonly shared: boolean;
}

/** A build that was tried. */
export interface WasmAttempt extends WasmBuild {
  readonly module?: WebAssembly.Module;
  /** Why it cannot be used here. */
  readonly cause?: string;
}

interface BuildFile extends WasmBuild {
  readonly url: URL;
}

/** Best first. The URLs are written out so that bundlers find them. */
const files: readonly BuildFile[] = [
  { isa: 'wasm-relaxed', shared: true, url: new URL('../../wasm/seqgrad.relaxed.shared.wasm', import.meta.url) },
  { isa: 'wasm-relaxed', shared: false, url: new URL('../../wasm/seqgrad.relaxed.wasm', import.meta.url) },
  { isa: 'wasm-simd', shared: true, url: new URL('../../wasm/seqgrad.simd.shared.wasm', import.meta.url) },
  { isa: 'wasm-simd', shared: false, url: new URL('../../wasm/seqgrad.simd.wasm', import.meta.url) },
];

/** Best first. */
export const wasmIsas: readonly WasmIsa[] = ['wasm-relaxed', 'wasm-simd'];

const needs: Readonly<Record<WasmIsa, string>> = {
  'wasm-relaxed': 'relaxed SIMD (Node 20 has it behind --experimental-wasm-relaxed-simd)',
  'wasm-simd': 'SIMD',
};

/** `wasm-simd for shared memory` */
export const nameOfBuild = ({ isa, shared }: WasmBuild): string => (shared ? `${isa} for shared memory` : isa);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function read(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const fs = builtin('node:fs/promises');
  if (url.protocol === 'file:' && fs !== undefined) return new Uint8Array(await fs.readFile(url));
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

const onePage = (shared: boolean): WebAssembly.Memory => new WebAssembly.Memory({ initial: 1, maximum: 1, shared });

/** What a module is, if it was built from this instruction list. */
export function identify(module: WebAssembly.Module): WasmBuild | { readonly cause: string } {
  let cause = '';
  for (const shared of whyNotShared() === undefined ? [false, true] : [false]) {
    try {
      const built = instantiate(module, onePage(shared));
      const list = built.contract();
      if (list === fingerprint) return { isa: built.relaxed() === 1 ? 'wasm-relaxed' : 'wasm-simd', shared };
      return { cause: `built from instruction list ${list}, but this is ${fingerprint}: build again` };
    } catch (error) {
      cause = `not a module of seqgrad (${messageOf(error)})`;
    }
  }
  return { cause };
}

const compiled = new Map<BuildFile, WasmAttempt>();

async function attempt(file: BuildFile): Promise<WasmAttempt> {
  const known = compiled.get(file);
  if (known !== undefined) return known;
  const { isa, shared, url } = file;
  const unshared = shared ? whyNotShared() : undefined;
  if (unshared !== undefined) return { isa, shared, cause: unshared };
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await read(url);
  } catch (error) {
    return { isa, shared, cause: `the file cannot be read (${messageOf(error)})` };
  }
  if (!WebAssembly.validate(bytes)) return { isa, shared, cause: `this engine does not support ${needs[isa]}` };
  const module = await WebAssembly.compile(bytes);
  const found = identify(module);
  if ('cause' in found) return { isa, shared, cause: found.cause };
  const usable = { isa, shared, module };
  compiled.set(file, usable);
  return usable;
}

/** Tries builds, best first: all four, or those of an ISA or a kind of memory. */
export const probeWasm = (wanted: Partial<WasmBuild> = {}): Promise<WasmAttempt[]> =>
  Promise.all(
    files.filter(({ isa, shared }) => isa === (wanted.isa ?? isa) && shared === (wanted.shared ?? shared)).map(attempt),
  );
