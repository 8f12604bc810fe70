/** The tensors that `seqgrad grad` is given: every name known, every shape as it must be, every number finite. */
import { FormatError } from '../../formats/errors.js';
import { SafetensorsReader } from '../../formats/safetensors.js';
import type { ArrayShapes, NamedArray, NamedArrays } from '../../inspect/named-arrays.js';
import { suggestion } from '../../program/options.js';

export interface Expected extends ArrayShapes {
  /** Names of tensors of integers. */
  readonly integers: readonly string[];
  /** Names that may be there and say nothing. */
  readonly ignored?: readonly string[];
}

/**
 * Reads a file.
 * @param wide whether numbers keep all 64 bits
 * @param expect what is to be there, from the shapes of some tensors; comes back with what is
 * @throws FileError, FormatError naming file and tensor
 */
export async function readTensors<E extends Expected>(
  path: string,
  wide: boolean,
  expect: (reader: SafetensorsReader) => E,
): Promise<{ readonly tensors: NamedArrays; readonly expected: E }> {
  const reader = await SafetensorsReader.open(path);
  try {
    const expected = expect(reader);
    const { required, optional, integers, ignored = [] } = expected;
    const known = new Map([...required, ...optional]);
    for (const name of reader.tensors.keys()) {
      if (!known.has(name) && !ignored.includes(name))
        throw new FormatError(path, name, `a name of this model${suggestion(name, [...known.keys()])}`, 'another');
    }
    const arrays = new Map<string, NamedArray>();
    for (const [name, shape] of known) {
      if (optional.has(name) && !reader.tensors.has(name)) continue;
      const found = reader.info(name).shape;
      if (found.join() !== shape.join())
        throw new FormatError(path, name, `shape [${shape.join(', ')}]`, `[${found.join(', ')}]`);
      const values = integers.includes(name) ? await reader.readInt32(name) : await readFinite(reader, name, wide);
      arrays.set(name, { shape, values });
    }
    return { tensors: arrays, expected };
  } finally {
    await reader.close();
  }
}

async function readFinite(reader: SafetensorsReader, name: string, wide: boolean): Promise<NamedArray['values']> {
  const values = await (wide ? reader.readFloat64(name) : reader.readFloat32(name));
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new FormatError(reader.file, name, 'finite numbers', `${values[bad]} at element ${bad}`);
  return values;
}

/** Refuses the first number of an array that does not fit. @throws FormatError */
export function checkValues(
  path: string,
  name: string,
  arrays: NamedArrays,
  expected: string,
  accepts: (value: number) => boolean,
): void {
  const { values, shape = [] } = arrays.get(name) ?? {};
  const bad = values?.findIndex((value) => !accepts(value)) ?? -1;
  if (bad < 0) return;
  const [rows = 1] = shape;
  const width = (values?.length ?? 0) / rows;
  const place = width === 1 ? `in row ${bad}` : `in row ${Math.floor(bad / width)} at position ${bad % width}`;
  throw new FormatError(path, name, expected, `${values?.[bad]} ${place}`);
}
