/** Files that look like safetensors, and what a reader may make of them: tensors, or a FormatError. */
import fc from 'fast-check';
import { FormatError } from '../../src/formats/errors.js';
import { SafetensorsReader } from '../../src/formats/safetensors.js';
import { dtypeBytes } from '../../src/formats/safetensors-header.js';

const sizes: readonly number[] = [0, 1, 2, 3, 4, 8, 64, 2 ** 31, 2 ** 32 + 1, 2 ** 53 - 1, 2 ** 53, 1e308, -1, 0.5];
const size = fc.oneof({ weight: 40, arbitrary: fc.nat(6) }, fc.constantFrom(...sizes));

/** Arrays within arrays, deeper than any call stack: as text, since `JSON.stringify` refuses them. */
const nested = fc.constantFrom(1, 100, 20_000).map((depth) => '['.repeat(depth) + ']'.repeat(depth));
const anything = fc.oneof(fc.json(), fc.constantFrom('null', '{}', '[]', '""', '1e999', '-0'), nested);

const oddly = <V>(value: fc.Arbitrary<V>, odd: fc.Arbitrary<V>): fc.Arbitrary<V> =>
  fc.oneof({ weight: 12, arbitrary: value }, { weight: 1, arbitrary: odd });

const names = fc.oneof(
  { weight: 8, arbitrary: fc.string().map((name) => JSON.stringify(name).slice(1, -1)) },
  fc.constantFrom('a', 'b', '', '__metadata__', '__proto__', 'constructor', '\\u0061', 'toString'),
);

const dtype = oddly(fc.constantFrom(...Object.keys(dtypeBytes)), fc.constantFrom('F8', '')).map((name) =>
  JSON.stringify(name),
);

/** An entry whose bytes follow those before it, more often than not. */
const entry = fc
  .record({
    dtype: oddly(dtype, anything),
    shape: fc.array(size, { maxLength: 3 }),
    begin: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, size),
    more: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(1, -1, 1e15)),
    offsets: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, anything),
    rest: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, anything),
  })
  .map((its) => (at: number): { readonly text: string; readonly end: number } => {
    const bytes = dtypeBytes[JSON.parse(its.dtype.startsWith('"') ? its.dtype : '""') as keyof typeof dtypeBytes] ?? 1;
    const begin = its.begin ?? at;
    const end = begin + its.shape.reduce((product, each) => product * each, bytes) + its.more;
    const offsets = its.offsets ?? JSON.stringify([begin, end]);
    const fields = `"dtype":${its.dtype},"shape":${JSON.stringify(its.shape)},"data_offsets":${offsets}`;
    return { text: its.rest === null ? `{${fields}}` : `{${fields},"x":${its.rest}}`, end };
  });

const header = fc.array(fc.tuple(names, fc.oneof({ weight: 12, arbitrary: entry }, anything)), { maxLength: 4 });

/** Changes to the bytes of a file that is done. */
const damage = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  fc.array(fc.record({ at: fc.nat(300), byte: fc.nat(255), cut: fc.boolean() }), { maxLength: 2 }),
);

interface Parts {
  readonly text: string;
  readonly dataBytes: number;
  /** What is added to the length of the header that the file states. */
  readonly lie: bigint;
}

function fileOf({ text, dataBytes, lie }: Parts): Uint8Array {
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(json.length) + lie), true);
  bytes.set(json, 8);
  return bytes;
}

const lies = [1n, -1n, -2n, 1000n, 100_000_000n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n];

/** A file of a few tensors, honest in most of what it says. */
export const hostileFile: fc.Arbitrary<Uint8Array> = fc
  .record({
    header: oddly(
      header.map((entries) => {
        let at = 0;
        const texts = entries.map(([name, its]) => {
          if (typeof its === 'string') return `"${name}":${its}`;
          const { text, end } = its(at);
          at = end;
          return `"${name}":${text}`;
        });
        return { text: `{${texts.join(',')}}`, dataBytes: at };
      }),
      anything.map((text) => ({ text, dataBytes: 0 })),
    ),
    rest: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.constantFrom(1, -1)),
    lie: fc.oneof({ weight: 12, arbitrary: fc.constant(0n) }, fc.constantFrom(...lies)),
    damage,
  })
  .map(({ header: { text, dataBytes }, rest, lie, damage }) => {
    const wanted = dataBytes + rest;
    const isModest = Number.isInteger(wanted) && wanted >= 0 && wanted < 4096;
    let bytes = fileOf({ text, dataBytes: isModest ? wanted : 0, lie });
    for (const { at, byte, cut } of damage) {
      if (cut) bytes = bytes.slice(0, at);
      else if (at < bytes.length) bytes[at] = byte;
    }
    return bytes;
  });

export interface Reading {
  readonly tensors: number;
  readonly refused: FormatError | undefined;
}

const readers = {
  F64: 'readFloat64',
  F32: 'readFloat64',
  F16: 'readFloat32',
  BF16: 'readFloat32',
  I64: 'readInt32',
  I32: 'readInt32',
  U8: 'readInt32',
  BOOL: 'readInt32',
} as const;

/**
 * Reads all there is.
 * @throws whatever else than a FormatError came of it, and a RangeError if there was more than the file could hold.
 */
export async function readAll(bytes: Uint8Array): Promise<Reading> {
  let tensors = 0;
  try {
    const reader = await SafetensorsReader.fromBytes(bytes);
    for (const [name, { dtype, shape }] of reader.tensors) {
      const values = await reader[readers[dtype]](name);
      if (values.length !== shape.reduce((product, each) => product * each, 1) || values.length > bytes.length) {
        throw new RangeError(`Expected the values of [${shape.join(', ')}] but received ${values.length}`);
      }
      tensors++;
    }
    return { tensors, refused: undefined };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { tensors, refused: error };
  }
}
