import test from 'ava';
import { onEvery } from '../train/backends.js';
import { differences, near, outputOnPage, runExample } from './run.js';

type Row = readonly number[];

/** The example's own numbers again, in plain arithmetic. */
const W = {
  f: [
    [0.5, -0.3, 0.8, 0.2],
    [-0.6, 0.4, 0.1, 0.7],
  ],
  i: [
    [0.3, 0.6, -0.4, 0.5],
    [0.2, -0.5, 0.9, -0.1],
  ],
  g: [
    [-0.7, 0.2, 0.6, 0.4],
    [0.5, 0.3, -0.8, 0.6],
  ],
  o: [
    [0.4, 0.1, 0.3, -0.6],
    [-0.2, 0.7, 0.5, 0.2],
  ],
} as const;
const x = [
  [1, 0.5],
  [-0.5, 1],
] as const;
const [h0, c0, y] = [
  [0.2, -0.4],
  [0.6, -0.8],
  [0.5, -0.5],
] as const;

const sigmoid = (a: number): number => 1 / (1 + Math.exp(-a));
const units = (value: (k: number) => number): Row => [value(0), value(1)];
const times = (matrix: readonly Row[], z: Row): Row =>
  matrix.map((row) => row.reduce((sum, w, j) => sum + w * (z[j] as number), 0));
/** An element that is there. */
const at = (row: Row, k: number): number => row[k] as number;

function step(Wf: readonly Row[], xt: Row, hBefore: Row, cBefore: Row) {
  const z = [...hBefore, ...xt];
  const [f, i, o] = [Wf, W.i, W.o].map((matrix) => times(matrix, z).map(sigmoid)) as readonly Row[] as [Row, Row, Row];
  const g = times(W.g, z).map(Math.tanh);
  const c = units((k) => at(f, k) * at(cBefore, k) + at(i, k) * at(g, k));
  const h = units((k) => at(o, k) * Math.tanh(at(c, k)));
  return { z, f, i, g, o, c, h };
}

function forward(Wf: readonly Row[]) {
  const one = step(Wf, x[0], h0, c0);
  const two = step(Wf, x[1], one.h, one.c);
  const L = 0.5 * two.h.reduce((sum, h, k) => sum + (h - at(y, k)) ** 2, 0);
  return { one, two, L };
}

/** two-steps.md, equation by equation. */
function byHand() {
  const { one, two, L } = forward(W.f);
  const expected: Record<string, Row> = { L: [L] };
  for (const [n, its] of [
    ['₁', one],
    ['₂', two],
  ] as const) {
    for (const v of ['f', 'i', 'g', 'o', 'c', 'h'] as const) expected[v + n] = its[v];
  }
  /** (3) to (8): from ∂L/∂h_t and what ∂L/∂c_t gets from the next step. */
  const gates = (its: typeof one, cBefore: Row, dh: Row, dcLater: Row) => {
    const dc = units((k) => at(dh, k) * at(its.o, k) * (1 - Math.tanh(at(its.c, k)) ** 2) + at(dcLater, k));
    const d = {
      h: dh,
      c: dc,
      o: units((k) => at(dh, k) * Math.tanh(at(its.c, k))),
      f: units((k) => at(dc, k) * at(cBefore, k)),
      i: units((k) => at(dc, k) * at(its.g, k)),
      g: units((k) => at(dc, k) * at(its.i, k)),
    };
    const logistic = (v: 'f' | 'i' | 'o'): Row => units((k) => at(d[v], k) * at(its[v], k) * (1 - at(its[v], k)));
    const delta = {
      f: logistic('f'),
      i: logistic('i'),
      o: logistic('o'),
      g: units((k) => at(d.g, k) * (1 - at(its.g, k) ** 2)),
    };
    const term = delta.f.flatMap((value) => its.z.map((element) => value * element));
    return { d, delta, term };
  };
  const second = gates(
    two,
    one.c,
    units((k) => at(two.h, k) - at(y, k)),
    [0, 0],
  );
  const dh1 = units((k) =>
    (['f', 'i', 'g', 'o'] as const).reduce(
      (sum, gate) =>
        sum + at(W[gate][0], k) * at(second.delta[gate], 0) + at(W[gate][1], k) * at(second.delta[gate], 1),
      0,
    ),
  );
  const first = gates(
    one,
    c0,
    dh1,
    units((k) => at(second.d.c, k) * at(two.f, k)),
  );
  for (const [n, { d, delta }] of [
    ['₁', first],
    ['₂', second],
  ] as const) {
    for (const [v, value] of Object.entries(d)) expected[`∂L/∂${v}${n}`] = value;
    for (const [v, value] of Object.entries(delta)) expected[`δ${v}${n}`] = value;
  }
  const total = first.term.map((value, index) => value + at(second.term, index));
  return {
    expected: {
      ...expected,
      'term of t = 2': second.term,
      'term of t = 1': first.term,
      'their sum': total,
      '∂L/∂W_f': total,
    },
    total,
  };
}

/** The numbers behind each name: those of its line, and of the lines after it that have none. */
function printedIn(output: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  let name = '';
  for (const line of output.split('\n')) {
    name = /^ {2}(\S+(?: \S+)*)/.exec(line)?.[1] ?? name;
    const values = (line.match(/-?\d+\.\d{6}/g) ?? []).map(Number);
    if (values.length > 0) found.set(name, [...(found.get(name) ?? []), ...values]);
  }
  return found;
}

onEvery('two steps of an LSTM: every printed number is what the derivation gives by hand', async (t, backend) => {
  const output = await runExample('two-steps', backend);
  const printed = printedIn(output);
  const { expected } = byHand();
  for (const [name, values] of Object.entries(expected)) {
    t.true(near(printed.get(name) ?? [], values, 1e-6), `${name}: ${printed.get(name)} for ${values}`); // six places of float32
  }
  t.deepEqual([...printed.keys()].sort(), Object.keys(expected).sort(), 'nothing else is printed');
  t.deepEqual(differences(output, await outputOnPage('two-steps')), []);
});

test('what is worked by hand is the slope of the loss', (t) => {
  const { total } = byHand();
  for (const [index, expected] of total.entries()) {
    const moved = (by: number): number =>
      forward(W.f.map((row, r) => row.map((w, j) => w + (4 * r + j === index ? by : 0)))).L;
    t.true(Math.abs((moved(1e-5) - moved(-1e-5)) / 2e-5 - expected) < 1e-10);
  }
});

test('planted fault: a derivation that forgets the cell’s path from step 2 to step 1 is noticed', (t) => {
  const { expected } = byHand() as { expected: Record<string, Row> };
  const { one } = forward(W.f);
  const dh1 = expected['∂L/∂h₁'] as Row;
  const wrong = units((k) => at(dh1, k) * at(one.o, k) * (1 - Math.tanh(at(one.c, k)) ** 2));
  t.false(near(wrong, expected['∂L/∂c₁'] as Row, 1e-3));
});
