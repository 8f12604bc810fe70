/** Whatever JavaScript hands to the addon, it answers with a value or an exception and goes on. */
import test from 'ava';
import fc from 'fast-check';
import type { Bfloat16Unit } from '../../src/backends/executor.js';
import { nativeBackend, probeNative } from '../../src/backends/native.js';
import { encode } from '../../src/program/encode.js';
import { absence, checkedProgram, ELEMENTS, fill, loadAddon, newHeap } from './addon.js';

type Unchecked = (...values: unknown[]) => unknown;

if (absence === undefined) {
  const addon = loadAddon();
  const heap = newHeap();
  const program = checkedProgram(addon, [fill(0, 4, 1)]);
  const thread = new addon.Thread(2);
  const words = encode([fill(0, 4, 1)]);
  const Program = addon.Program as unknown as new (...values: unknown[]) => unknown;

  /** Calls with anything; rejections are answers too. */
  const answer = async (call: () => unknown): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      return error;
    }
  };

  const special = fc.constantFrom<unknown>(
    ...[program, thread, addon, addon.Program, addon.Thread, addon.Program.prototype, addon.Thread.prototype],
    ...[heap.bytes, heap.bytes.subarray(1), heap.bytes.subarray(0, 8), heap.floats, words, new Float64Array(3)],
    ...[new DataView(heap.bytes.buffer), new SharedArrayBuffer(8), new Uint8Array(0), Object.create(program)],
    ...['auto', 'sse2', 'avx512', 'amx', 'neon', 'fast', 'strict', 1, 0, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 60],
    ...[Number.NaN, Number.POSITIVE_INFINITY, -0, 1n, Symbol('s'), null, undefined, () => 1, new Proxy({}, {})],
    {
      valueOf: () => {
        throw new Error('valueOf');
      },
    },
  );
  const anything = fc.oneof({ weight: 4, arbitrary: special }, fc.anything());
  /** The right arguments, with some of them replaced or left out. */
  const almost = (right: readonly unknown[]): fc.Arbitrary<unknown[]> =>
    fc
      .tuple(...right.map((value) => fc.oneof({ weight: 3, arbitrary: fc.constant(value) }, anything)))
      .chain((all) => fc.nat(all.length).map((cut) => (cut === 0 ? all : all.slice(0, all.length - cut + 1))));

  test('Thread.run, whatever it is called with', async (t) => {
    const right = [program, heap.bytes, ELEMENTS, 0, 1, null];
    await fc.assert(
      fc.asyncProperty(almost(right), async (values) => {
        const outcome = await answer(() => (thread.run as Unchecked).apply(thread, values));
        return outcome === undefined || outcome instanceof Error;
      }),
      { numRuns: 3000 },
    );
    await t.notThrowsAsync(thread.run(program, heap.bytes, ELEMENTS, 0, 1, null));
  });

  test('new Program, whatever it is called with', async (t) => {
    await fc.assert(
      fc.asyncProperty(almost([words, 'auto', 'fast', nativeBackend().bfloat16]), async (values) => {
        const outcome = await answer(() => new Program(...values));
        return outcome instanceof addon.Program || outcome instanceof TypeError;
      }),
      { numRuns: 1000 },
    );
    t.pass();
  });

  test('what multiplies bfloat16 numbers: the best there is, one that is named, and none that is not there', (t) => {
    for (const numerics of ['fast', 'strict'] as const) {
      for (const { isa, bfloat16: ways } of probeNative(numerics).filter(({ usable }) => usable)) {
        t.is(nativeBackend({ isa, numerics }).bfloat16, ways[0] as Bfloat16Unit);
        for (const bfloat16 of ways) t.is(nativeBackend({ isa, numerics, bfloat16 }).bfloat16, bfloat16);
        if (ways.includes('amx')) continue;
        const message = new RegExp(
          `bfloat16 of isa ${isa} with ${numerics} numerics to be one of .*emulated here but received amx`,
        );
        t.throws(() => nativeBackend({ isa, numerics, bfloat16: 'amx' }), { message });
      }
    }
    for (const [name, message] of [
      ['none', /bfloat16.*none/],
      [1, /a string for bfloat16/],
    ] as const) {
      t.throws(() => new Program(words, 'auto', 'fast', name), { instanceOf: TypeError, message });
    }
  });

  test('an ISA without strict numerics is refused with them, and passed over where any is welcome', (t) => {
    const withoutThem = probeNative('strict').filter(({ isa }) => isa === 'amx');
    t.is(withoutThem.length, 1);
    for (const { isa, usable } of withoutThem) {
      t.false(usable);
      t.throws(() => nativeBackend({ isa, numerics: 'strict' }), {
        message: /isa amx to be usable here with strict numerics but amx: /,
      });
      const message = /ISA that is usable here with strict numerics but received amx/;
      t.throws(() => new Program(words, isa, 'strict'), { instanceOf: TypeError, message });
    }
    t.not(nativeBackend({ numerics: 'strict' }).isa, 'amx');
  });

  test('Program.check, peak, barrier and new Thread, whatever they are called with', async (t) => {
    const fresh = new addon.Program(words, 'auto', 'strict');
    const Thread = addon.Thread as unknown as new (...values: unknown[]) => { close(): void };
    const calls: readonly Unchecked[] = [
      (...values) => (fresh.check as Unchecked).apply(fresh, values),
      (value) => (addon.peak as Unchecked)('sse2', 'fast', typeof value === 'number' && value > 1 ? -1 : value),
      (...values) => (addon.peak as Unchecked)(...values.map((value) => (typeof value === 'number' ? -1 : value))),
      (value) => (addon.barrier as Unchecked)(value, 0),
      (value) => (addon.barrier as Unchecked)(2, typeof value === 'number' && value > 1 ? -1 : value),
      (...values) => (addon.preferHugePages as Unchecked)(...values),
      (...values) => new Thread(...values).close(),
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...calls), fc.array(anything, { maxLength: 3 }), async (call, values) => {
        await answer(() => call(...values));
      }),
      { numRuns: 2000 },
    );
    t.is(fresh.check(ELEMENTS), null);
  });

  test('a method called on something else is refused', async (t) => {
    const methods = [addon.Thread.prototype.run, addon.Thread.prototype.close, addon.Program.prototype.check];
    const getter = Object.getOwnPropertyDescriptor(addon.Program.prototype, 'recordCount')?.get;
    const refusal = /^(Illegal invocation|Expected a Program as `this`)$/; // V8's, where it looks before the addon does
    for (const method of [...methods, getter]) {
      await fc.assert(
        fc.asyncProperty(anything, async (self) => {
          fc.pre(self !== thread && self !== program);
          const outcome = await answer(() => (method as Unchecked).call(self, ELEMENTS));
          return outcome instanceof TypeError && refusal.test(outcome.message);
        }),
        { numRuns: 200 },
      );
    }
    t.regex(`${await answer(() => (addon.Thread.prototype.close as Unchecked).call(program))}`, /^TypeError/);
    t.is(`${await answer(() => (getter as Unchecked).call(thread))}`, 'TypeError: Expected a Program as `this`');
    t.throws(() => (addon.Thread as unknown as Unchecked)(1), { instanceOf: TypeError });
  });

  test('threads out of range are refused with the number that came', (t) => {
    for (const threads of [0, -1, 1.5, 257, Number.NaN, 2 ** 40]) {
      const message = `Expected 1 to 256 threads but received ${threads}`;
      t.throws(() => new addon.Thread(threads), { instanceOf: RangeError, message });
      t.throws(() => addon.barrier(threads, 0), { instanceOf: RangeError, message });
    }
    const message = 'Expected a number of threads';
    t.throws(() => new addon.Thread('2' as unknown as number), { instanceOf: TypeError, message });
  });

  test('memory keeps what it holds when huge pages are wished for', (t) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1000 });
    new Uint8Array(memory.buffer).fill(7);
    for (const pages of [0, 40, 300]) {
      memory.grow(pages);
      addon.preferHugePages(new Uint8Array(memory.buffer));
      const bytes = new Uint8Array(memory.buffer);
      t.is(bytes.indexOf(0), pages === 0 ? -1 : 65536);
      t.true(bytes.subarray(65536).every((byte) => byte === 0));
    }
    addon.preferHugePages(new Uint8Array(memory.buffer, 1, 0));
    const message = 'Expected a Uint8Array for the heap';
    t.throws(() => (addon.preferHugePages as Unchecked)(new Float32Array(1)), {
      instanceOf: TypeError,
      message,
    });
  });

  test('a fork and join of several threads takes some time', (t) => {
    t.true(addon.barrier(1, 1) > 0);
    t.true(addon.barrier(3, 1) > 0);
  });
} else {
  test.skip(`arguments of the addon (skipped: ${absence})`, () => {});
}
