/**
 * Makes test/golden/gru-onnx.json with onnxruntime-web, which is not a dependency of the project:
 *
 *     npm install --prefix somewhere onnxruntime-web && node test/golden/make_gru_onnx.mjs somewhere/node_modules/onnxruntime-web
 *
 * Each case is one GRU node of opset 14: its inputs as ONNX lays them out (gates z, r, h) and the outputs Y and Y_h in float32.
 * `linear_before_reset` 1 is Keras's `reset_after=True` and PyTorch's GRU, 0 is Keras's `reset_after=False`.
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder = 'node_modules/onnxruntime-web'] = process.argv.slice(2);
const entry = createRequire(import.meta.url).resolve(resolve(folder));
const { default: ort } = await import(pathToFileURL(entry).href);

// The few parts of protocol buffers that a model of one node needs: varints and length-delimited fields.
const varint = (value) => {
  const bytes = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
};
const number = (field, value) => [...varint(field * 8), ...varint(value)];
const bytes = (field, value) => [...varint(field * 8 + 2), ...varint(value.length), ...value];
const text = (field, value) => bytes(field, [...Buffer.from(value)]);
const FLOAT = 1;
const INT32 = 6;
const tensorType = (name, type, rank) => {
  const dimensions = Array.from({ length: rank }, (_, axis) => bytes(1, text(2, `${name}${axis}`))).flat();
  return [...text(1, name), ...bytes(2, bytes(1, [...number(1, type), ...bytes(2, dimensions)]))];
};
const attribute = (name, value) =>
  typeof value === 'string'
    ? [...text(1, name), ...text(4, value), ...number(20, 3)]
    : [...text(1, name), ...number(3, value), ...number(20, 2)];

function modelOf({ hidden, direction, linearBeforeReset }) {
  const inputs = {
    X: [FLOAT, 3],
    W: [FLOAT, 3],
    R: [FLOAT, 3],
    B: [FLOAT, 2],
    sequence_lens: [INT32, 1],
    initial_h: [FLOAT, 3],
  };
  const outputs = { Y: [FLOAT, 4], Y_h: [FLOAT, 3] };
  const attributes = { hidden_size: hidden, direction, linear_before_reset: linearBeforeReset };
  const node = [
    ...Object.keys(inputs).flatMap((name) => text(1, name)),
    ...Object.keys(outputs).flatMap((name) => text(2, name)),
    ...text(4, 'GRU'),
    ...Object.entries(attributes).flatMap(([name, value]) => bytes(5, attribute(name, value))),
  ];
  const graph = [
    ...bytes(1, node),
    ...text(2, 'gru'),
    ...Object.entries(inputs).flatMap(([name, [type, rank]]) => bytes(11, tensorType(name, type, rank))),
    ...Object.entries(outputs).flatMap(([name, [type, rank]]) => bytes(12, tensorType(name, type, rank))),
  ];
  return Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, number(2, 14))]);
}

/** Numbers in [−1, 1): a linear congruential generator, so that the file comes out the same every time. */
let state = 7;
const random = (length) =>
  Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });

const cases = [];
for (const linearBeforeReset of [0, 1]) {
  for (const direction of ['forward', 'bidirectional']) {
    const [T, B, I, H, D] = [5, 3, 4, 6, direction === 'forward' ? 1 : 2];
    const given = {
      X: [[T, B, I], random(T * B * I)],
      W: [[D, 3 * H, I], random(D * 3 * H * I)],
      R: [[D, 3 * H, H], random(D * 3 * H * H)],
      B: [[D, 6 * H], random(D * 6 * H)],
      initial_h: [[D, B, H], random(D * B * H)],
    };
    const lengths = [3, 5, 1];
    const feeds = Object.fromEntries(
      Object.entries(given).map(([name, [shape, values]]) => [name, new ort.Tensor('float32', values, shape)]),
    );
    feeds.sequence_lens = new ort.Tensor('int32', Int32Array.from(lengths), [B]);
    const session = await ort.InferenceSession.create(modelOf({ hidden: H, direction, linearBeforeReset }));
    const { Y, Y_h } = await session.run(feeds);
    cases.push({
      ...{ linearBeforeReset, directions: D, T, B, I, H, lengths },
      inputs: Object.fromEntries(Object.entries(given).map(([name, [, values]]) => [name, [...values]])),
      outputs: { Y: [...Y.data], Y_h: [...Y_h.data] },
    });
  }
}
writeFileSync(new URL('gru-onnx.json', import.meta.url), `${JSON.stringify(cases)}\n`);
