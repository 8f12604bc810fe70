import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {
  SafetensorsReader,
  type TensorToWrite,
  writeSafetensors,
  writeTensors,
} from '../../src/formats/safetensors.js';

/** A file of a given header and data. */
function fileOf(header: unknown, data: Iterable<number> = [], length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header);
  const text = new TextEncoder().encode(json);
  const bytes = [...data];
  const file = new Uint8Array(8 + text.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(bytes, 8 + text.length);
  return file;
}

async function written(tensors: readonly TensorToWrite[], metadata?: Record<string, string>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await writeTensors(async (bytes) => void pieces.push(bytes.slice()), tensors, metadata);
  return new Uint8Array(Buffer.concat(pieces));
}

async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'seqgrad-'));
}

test('reads a file spelled out byte by byte', async (t) => {
  const header = {
    __metadata__: { format: 'pt' },
    whole: { dtype: 'I64', shape: [2], data_offsets: [0, 16] },
    single: { dtype: 'F32', shape: [1, 2], data_offsets: [16, 24] },
    half: { dtype: 'F16', shape: [6], data_offsets: [24, 36] },
    brain: { dtype: 'BF16', shape: [3], data_offsets: [36, 42] },
    byte: { dtype: 'U8', shape: [1], data_offsets: [42, 43] },
    flag: { dtype: 'BOOL', shape: [], data_offsets: [43, 44] },
    none: { dtype: 'F32', shape: [0, 3], data_offsets: [44, 44] },
    short: { dtype: 'I32', shape: [1], data_offsets: [44, 48] },
    double: { dtype: 'F64', shape: [1], data_offsets: [48, 56] },
  };
  const data = [
    ...[5, 0, 0, 0, 0, 0, 0, 0, 0x9c, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // 5, −100
    ...[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], // 1, −2
    ...[0x00, 0x3c, 0x01, 0x80, 0xff, 0x7b, 0x00, 0x7c, 0x00, 0xfc, 0x01, 0x7e], // 1, −2⁻²⁴, 65504, ∞, −∞, NaN
    ...[0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f], // 1, −3.140625, ∞
    ...[200, 1],
    ...[0xff, 0xff, 0xff, 0xff], // −1
    ...[0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f], // 0.1
  ];
  const reader = await SafetensorsReader.fromBytes(fileOf(header, data));
  t.is(reader.metadata.get('format'), 'pt');
  t.deepEqual([...reader.tensors.keys()].sort(), Object.keys(header).slice(1).sort());
  t.deepEqual(await reader.readInt32('whole'), Int32Array.of(5, -100));
  t.deepEqual(await reader.readFloat32('single'), Float32Array.of(1, -2));
  t.deepEqual(
    await reader.readFloat64('half'),
    Float64Array.of(1, -(2 ** -24), 65504, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN),
  );
  t.deepEqual(await reader.readFloat32('brain'), Float32Array.of(1, -3.140625, Number.POSITIVE_INFINITY));
  t.deepEqual(await reader.readInt32('byte'), Int32Array.of(200));
  t.deepEqual(await reader.readInt32('flag'), Int32Array.of(1));
  t.deepEqual(await reader.readFloat32('none'), new Float32Array(0));
  t.deepEqual(reader.info('none').shape, [0, 3]);
  t.deepEqual(await reader.readInt32('short'), Int32Array.of(-1));
  t.deepEqual(await reader.readFloat64('double'), Float64Array.of(0.1));
  t.deepEqual(await reader.readFloat32('double'), Float32Array.of(0.1));
});

test('writes the bytes that the format prescribes', async (t) => {
  const bytes = await written([
    { name: 'n', dtype: 'I32', shape: [1], values: Int32Array.of(-1) },
    { name: 'x', dtype: 'F32', shape: [2], values: () => Float64Array.of(1, -2) },
  ]);
  const json =
    '{"n":{"dtype":"I32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
  const data = [0xff, 0xff, 0xff, 0xff, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0];
  t.deepEqual(bytes, fileOf(padded, data));
});

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

const hostile: Record<string, [file: Uint8Array, tensor: string | undefined, message: RegExp]> = {
  'an empty file': [new Uint8Array(0), undefined, /at least 8 bytes\) but received 0 bytes/],
  'a file shorter than its length field': [new Uint8Array(7), undefined, /received 7 bytes/],
  'a header length beyond the file': [fileOf({}, [], 3n), undefined, /header of 3 bytes but .* ends after 2 of them/],
  'a header length of 2⁶⁴ − 1': [
    fileOf({}, [], 2n ** 64n - 1n),
    undefined,
    /at most 100000000 bytes but .*18446744073709551615/,
  ],
  'a header over 100 MB': [fileOf({}, [], 100_000_001n), undefined, /at most 100000000 bytes/],
  'a header that is not JSON': [fileOf('{"x":'), undefined, /a header in JSON/],
  'a header that is not UTF-8': [fileOf('{}', [0xff], 3n), undefined, /a header in JSON/],
  'a header that is a list': [fileOf('[]'), undefined, /a JSON object but received \[\]/],
  'a header that is null': [fileOf('null'), undefined, /a JSON object but received null/],
  'metadata that are not strings': [fileOf({ __metadata__: { a: 1 } }), '__metadata__', /object of strings/],
  'metadata that are a list': [fileOf({ __metadata__: ['a'] }), '__metadata__', /object of strings/],
  'an entry that is a number': [fileOf({ x: 1 }), 'x', /an object with dtype, shape and data_offsets but received 1/],
  'an unknown dtype': [fileOf({ x: { ...f32(0, 4), dtype: 'F31' } }, [1, 2, 3, 4]), 'x', /a dtype among F64.* "F31"/],
  'a dtype from the prototype': [
    fileOf({ x: { ...f32(0, 4), dtype: 'toString' } }, [1, 2, 3, 4]),
    'x',
    /a dtype among/,
  ],
  'a negative size': [fileOf({ x: f32(0, 4, [-1]) }, [1, 2, 3, 4]), 'x', /a shape of sizes from 0 but received \[-1\]/],
  'a fractional size': [fileOf({ x: f32(0, 4, [0.5]) }, [1, 2, 3, 4]), 'x', /a shape of sizes from 0/],
  'a shape that overflows': [fileOf({ x: f32(0, 4, [2 ** 52, 2 ** 52, 0]) }, [1, 2, 3, 4]), 'x', /0 bytes for F32/],
  'a shape larger than its bytes': [
    fileOf({ x: f32(0, 4, [2]) }, [1, 2, 3, 4]),
    'x',
    /8 bytes for F32 \[2\] but received 4/,
  ],
  'no data_offsets': [fileOf({ x: { dtype: 'F32', shape: [1] } }, [1, 2, 3, 4]), 'x', /data_offsets \[begin, end\]/],
  'three data_offsets': [fileOf({ x: { ...f32(0, 4), data_offsets: [0, 4, 8] } }, [1, 2, 3, 4]), 'x', /data_offsets/],
  'an end before the begin': [
    fileOf({ x: f32(4, 0, [1]) }, [1, 2, 3, 4]),
    'x',
    /4 bytes for F32 \[1\] but received -4/,
  ],
  'data cut short': [fileOf({ x: f32(0, 8) }, [1, 2, 3, 4]), 'x', /within the file's 4 bytes of data but .* end at 8/],
  'data left over': [fileOf({ x: f32(0, 4) }, [1, 2, 3, 4, 5]), undefined, /as its header says/],
  'tensors that overlap': [
    fileOf({ x: f32(0, 8), y: f32(4, 12) }, new Array(12).fill(0)),
    'y',
    /begins at byte 8, where `x` ends but received data that begins at byte 4/,
  ],
  'a gap between tensors': [fileOf({ x: f32(0, 4), y: f32(8, 12) }, new Array(12).fill(0)), 'y', /begins at byte 4/],
  'a name given twice': [
    fileOf(
      '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0078":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      [1, 2, 3, 4],
    ),
    'x',
    /the name once/,
  ],
};

for (const [title, [file, tensor, message]] of Object.entries(hostile)) {
  test(`refuses ${title}`, async (t) => {
    const error = await t.throwsAsync(SafetensorsReader.fromBytes(file, 'hostile.safetensors'), {
      code: 'ERR_SEQGRAD_FORMAT',
      message,
    });
    t.true(error?.message.startsWith(`hostile.safetensors: ${tensor === undefined ? '' : `tensor \`${tensor}\`: `}`));
  });
}

test('a string that holds quotes, braces and colons is no key', async (t) => {
  const reader = await SafetensorsReader.fromBytes(fileOf({ __metadata__: { a: '","a":"{', b: '\\' } }));
  t.is(reader.metadata.get('b'), '\\');
});

test('a reader says what a tensor is when another kind is asked for', async (t) => {
  const header = { x: f32(0, 4), n: { dtype: 'I64', shape: [1], data_offsets: [4, 12] } };
  const reader = await SafetensorsReader.fromBytes(fileOf(header, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), 'm');
  await t.throwsAsync(reader.readInt32('x'), {
    message: 'm: tensor `x`: Expected integers (I64, I32, U8 or BOOL) but received F32',
  });
  await t.throwsAsync(reader.readFloat32('n'), { message: /Expected floating-point numbers .* but received I64/ });
  await t.throwsAsync(reader.readInt32('n'), { message: /at most 32 bits but received 4294967296 at element 0/ });
  await t.throwsAsync(reader.readFloat32('y'), {
    message: 'm: tensor `y`: Expected a tensor of that name but received none',
  });
});

test('any damage to a byte of the header is refused or harmless, never another kind of error', async (t) => {
  const good = await written([
    { name: 'weight', dtype: 'F32', shape: [2, 2], values: new Float32Array(4) },
    { name: 'bias', dtype: 'F64', shape: [2], values: new Float64Array(2) },
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(good.length),
      async (at, change, end) => {
        const bytes = good.slice(0, end === 0 ? good.length : end);
        if (at < bytes.length) (bytes[at] as number) ^= change;
        try {
          const reader = await SafetensorsReader.fromBytes(bytes);
          for (const { name, dtype } of reader.tensors.values()) {
            if (dtype.startsWith('F')) await reader.readFloat64(name);
          }
        } catch (error) {
          t.is((error as { code?: string }).code, 'ERR_SEQGRAD_FORMAT');
        }
      },
    ),
    { numRuns: 2000 },
  );
});

const anyTensor = fc
  .tuple(fc.constantFrom('F64', 'F32', 'I32'), fc.array(fc.nat(3), { maxLength: 3 }), fc.infiniteStream(fc.double()))
  .map(([dtype, shape, stream]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const numbers = [...stream.take(count)];
    if (dtype === 'I32') return { dtype, shape, values: Int32Array.from(numbers) } as const;
    if (dtype === 'F32') return { dtype, shape, values: Float32Array.from(numbers) } as const;
    return { dtype: 'F64', shape, values: Float64Array.from(numbers) } as const;
  });

test('what is written is read back, bit for bit', async (t) => {
  const folder = await temporaryFolder();
  const path = join(folder, 'x.safetensors');
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string({ unit: 'grapheme' }), anyTensor), fc.string(), async (tensors, note) => {
      delete tensors.__metadata__;
      const entries = Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor }));
      await writeSafetensors(path, entries, { note });
      const reader = await SafetensorsReader.open(path);
      t.is(reader.metadata.get('note'), note);
      t.is(reader.tensors.size, entries.length);
      for (const { name, dtype, shape, values } of entries) {
        t.deepEqual(reader.info(name).shape, shape);
        const read = {
          F64: () => reader.readFloat64(name),
          F32: () => reader.readFloat32(name),
          I32: () => reader.readInt32(name),
        };
        t.deepEqual(await read[dtype](), values);
        t.is(reader.info(name).begin % { F64: 8, F32: 4, I32: 4 }[dtype], 0);
      }
      await reader.close();
    }),
    { numRuns: 200 },
  );
  t.deepEqual(await readdir(folder), ['x.safetensors']);
  await rm(folder, { recursive: true });
});

test('a wrong number of values leaves the old file as it was', async (t) => {
  const folder = await temporaryFolder();
  const path = join(folder, 'x.safetensors');
  await writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [1], values: Float32Array.of(7) }]);
  const before = await readFile(path);
  const wrong = { name: 'x', dtype: 'F32', shape: [2, 3], values: new Float32Array(5) } as const;
  await t.throwsAsync(writeSafetensors(path, [wrong]), {
    instanceOf: RangeError,
    message: 'safetensors: tensor `x`: Expected 6 values for [2, 3] but received 5',
  });
  t.deepEqual(await readFile(path), before);
  t.deepEqual(await readdir(folder), ['x.safetensors']);
  await rm(folder, { recursive: true });
});

test('two tensors of one name are not written', async (t) => {
  const x = { name: 'x', dtype: 'F32', shape: [1], values: new Float32Array(1) } as const;
  await t.throwsAsync(written([x, x]), { message: /received `x` twice/ });
});

test('a file that shrinks after it was opened is noticed', async (t) => {
  const folder = await temporaryFolder();
  const path = join(folder, 'x.safetensors');
  await writeSafetensors(path, [{ name: 'x', dtype: 'F32', shape: [4], values: new Float32Array(4) }]);
  const reader = await SafetensorsReader.open(path);
  await truncate(path, (await readFile(path)).length - 4);
  await t.throwsAsync(reader.readFloat32('x'), { code: 'ERR_SEQGRAD_FORMAT', message: /16 bytes but received 12/ });
  await reader.close();
  await rm(folder, { recursive: true });
});

test('a missing file and a folder are named', async (t) => {
  const folder = await temporaryFolder();
  const missing = join(folder, 'none.safetensors');
  await t.throwsAsync(SafetensorsReader.open(missing), {
    code: 'ERR_SEQGRAD_FILE',
    message: `Expected to read ${missing} but there is no such file or folder`,
  });
  await t.throwsAsync(SafetensorsReader.open(folder), { message: `Expected to read ${folder} but it is a folder` });
  await writeFile(join(folder, 'text'), 'This is no tensor file at all.');
  await t.throwsAsync(SafetensorsReader.open(join(folder, 'text')), {
    code: 'ERR_SEQGRAD_FORMAT',
    message: /text: Expected a header/,
  });
  await rm(folder, { recursive: true });
});
