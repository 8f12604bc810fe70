/**
 * The instruction set: the contract between the planner and every executor (native, wasm, reference).
 *
 * This list is the only one. The TypeScript types, the encoder, the shape, bounds and alias checks, the profile, the table in
 * docs/instructions.md, and at build the C++ header and the AssemblyScript decoder are derived from it.
 *
 * Every operand is a float32 or int32 tensor of the heap, given as an offset in 4-byte elements. `shape` and `strides` are size
 * expressions over `dims`; without strides a tensor is dense, last axis fastest. What an operand is for:
 *
 * - `read`        never written.
 * - `write`       wholly overwritten; what memory held before never matters (a NaN there does not survive).
 * - `accumulate`  the result is added to what memory holds.
 * - `update`      the new value is computed from the old one, in place.
 * - `scratch`     means nothing before or after.
 *
 * Operands do not overlap, except that a `write` operand may start exactly where the operand named by `mayReplace` starts.
 * Executors touch no memory outside their operands and their own workspace. They are safe for every value of int32 data: each
 * instruction says what an index out of range does. The first elements of the heap belong to the WASM module; no operand starts there.
 *
 * Sums. `s = Σ` means: start from 0, add in ascending index order, each term by fused multiply-add in fast numerics and by a
 * separate multiply and add in strict numerics. `lanes(n)` means sixteen partial sums, lane l taking the elements l, l+16, …
 * in order from 0, combined as a tree: lane l + lane l+8, then +4, +2, +1. `fold` means left to right from the first partial.
 *
 * Recurrences. hidden (and cell) hold T+1 states: step t goes from state t to state t+1, or with reverse ≠ 0 from t+1 to t. A step
 * with t ≥ lengths[b] keeps the state; what else it would write is undefined unless the instruction says otherwise. lengths are
 * clamped to 0 … T. Where resets[t][b] ≠ 0 nothing passes between steps t−1 and t of row b: step t, with reverse ≠ 0 step t−1, takes
 * the state before it as 0, and no gradient goes back there. Absent initial states are zero.
 * Backward, absent gradients are zero; where t ≥ lengths[b], what it gives for step t is 0 and dHidden is ignored. `recurrent` is the
 * gradient that comes from the step that followed, one sum over all gates, without blocks; 0 where that step took its state as 0.
 *
 * Products of bfloat16 numbers. With bfloat16 ≠ 0 every element of a and b is rounded to bfloat16, the upper half of a float32, before
 * it is multiplied: to the nearest, ties to even, beyond the largest to ±∞; NaN stays NaN. Sums and everything else are float32. A
 * product of two such numbers is exact but where it overflows or is below 2⁻¹²⁶, so fusing it with the addition changes nothing.
 * A matrix unit (AMX, in fast numerics only) adds in an order of its own: s begins with c or the bias; each 32 k give Σ over the even
 * ones among them and Σ over the odd ones, and s = s + (even + odd).
 *
 * Values. NaN goes in and NaN comes out, its payload unspecified; so is the sign of a zero that tanh gives. exp of a number ≤ 0 is at
 * least 2⁻¹²⁶: sigmoid(−∞) and the softmax of a logit −∞ are that, not 0. Fast native numerics take subnormal operands as 0. An
 * intermediate (g² of adamw, x − m of softmax) may overflow where the result would not. What a masked key holds does not matter; a
 * later key of the 64 positions that a query lies in counts, with causal, as 0 times what it holds, which is NaN for NaN and ±∞.
 */

import { randomWords, scalarSlots } from './scalars.js';

export type Access = 'read' | 'write' | 'accumulate' | 'update' | 'scratch';

export interface OperandSpec {
  readonly shape: readonly string[];
  /** One size expression per axis, in elements; dense when absent. */
  readonly strides?: readonly string[];
  readonly type?: 'i32';
  readonly access: Access;
  readonly optional?: true;
  /** The operand whose memory this one may take over. */
  readonly mayReplace?: string;
}

export interface InstructionSpec {
  /** Basename of the files that implement it in every layer. */
  readonly family: string;
  readonly meaning: string;
  /** Order of sums, and where bias and accumulation enter, where that matters. */
  readonly order?: string;
  readonly operands: Readonly<Record<string, OperandSpec>>;
  /** int32 words, all ≥ 0. */
  readonly dims: readonly string[];
  /** float32 words. */
  readonly scalars?: readonly string[];
  readonly flops: string;
  /** Elements of private memory (packing panels, partial sums) that an executor may use: for all its lanes, or `lanes * …`. */
  readonly workspace?: string;
}

const n = ['n'] as const;
const one = ['1'] as const;
const unary = { x: { shape: n, access: 'read' }, y: { shape: n, access: 'write', mayReplace: 'x' } } as const;
const unaryBackward = {
  y: { shape: n, access: 'read' },
  dy: { shape: n, access: 'read' },
  dx: { shape: n, access: 'write', mayReplace: 'dy' },
} as const;
const unaryBackwardOfInput = {
  x: { shape: n, access: 'read' },
  dy: { shape: n, access: 'read' },
  dx: { shape: n, access: 'write', mayReplace: 'dy' },
} as const;
const binary = {
  a: { shape: n, access: 'read' },
  b: { shape: n, access: 'read' },
  y: { shape: n, access: 'write', mayReplace: 'a' },
} as const;
const box = ['n0', 'n1', 'n2', 'n3'] as const;
const copied = {
  x: { shape: box, strides: ['x0', 'x1', 'x2', 'x3'], access: 'read' },
} as const;
const copyDims = ['n0', 'n1', 'n2', 'n3', 'x0', 'x1', 'x2', 'x3', 'y0', 'y1', 'y2', 'y3'] as const;
const factors = {
  a: { shape: ['batch', 'M', 'K'], strides: ['aBatch', 'aRow', 'aColumn'], access: 'read' },
  b: { shape: ['batch', 'K', 'N'], strides: ['bBatch', 'bRow', 'bColumn'], access: 'read' },
} as const;
const product = { shape: ['batch', 'M', 'N'], strides: ['cBatch', 'cRow', '1'] } as const;
const matmulDims = [
  ...['batch', 'M', 'N', 'K', 'aBatch', 'aRow', 'aColumn', 'bBatch', 'bRow', 'bColumn', 'cBatch', 'cRow', 'bfloat16'],
] as const;
/** What `activation` of a product stands for: the functions of those instructions. */
export const activations = ['none', 'relu', 'gelu', 'geluTanh'] as const;
/** The Philox key and step: see scalars.ts. */
const random = { shape: [`${randomWords.length}`], type: 'i32', access: 'read' } as const;
const optimizer = {
  parameters: { shape: ['P'], access: 'update' },
  gradients: { shape: ['P'], access: 'read' },
  /** Rows of offset, length, group, frozen (0 or 1). A row that leaves the arena or the group table is skipped. */
  segments: { shape: ['S', '4'], type: 'i32', access: 'read' },
  /** Rows of rate factor, weight decay. */
  groups: { shape: ['G', '2'], access: 'read' },
  scalars: { shape: [`${scalarSlots.length}`], access: 'read' },
  /** What clipByNorm gave. */
  clipFactor: { shape: one, access: 'read' },
  finite: { shape: one, access: 'read' },
} as const;

/** What attention takes forward and backward: B rows of T positions, NH heads of HS elements, side by side Q, K and V. */
const attended = {
  qkv: { shape: ['B', 'T', '3 * NH * HS'], access: 'read' },
  /** 0: this key is seen by nobody. */
  mask: { shape: ['B', 'T'], type: 'i32', access: 'read', optional: true },
  /** Present where probabilities are dropped. */
  random: { ...random, optional: true },
} as const;
const perHead = ['B', 'NH', 'T'] as const;
const perPair = ['B', 'NH', 'T', 'T'] as const;
const attentionDims = ['B', 'T', 'NH', 'HS', 'causal', 'stream'] as const;
const attentionScalars = ['rate', 'keepScale'] as const;

/** What every recurrence takes: rows of unequal length, and rows that start anew within a window. */
const rows = {
  lengths: { shape: ['B'], type: 'i32', access: 'read', optional: true },
  resets: { shape: ['T', 'B'], type: 'i32', access: 'read', optional: true },
} as const;

export const instructions = {
  fill: {
    family: 'copy',
    meaning: 'y = value',
    operands: { y: { shape: n, access: 'write' } },
    dims: n,
    scalars: ['value'],
    flops: '0',
  },
  copy: {
    family: 'copy',
    meaning: 'y = x over a box of four axes, each side with its own strides (slice, concatenate, transpose, broadcast)',
    operands: { ...copied, y: { shape: box, strides: ['y0', 'y1', 'y2', 'y3'], access: 'write' } },
    dims: copyDims,
    flops: '0',
  },
  copyAdd: {
    family: 'copy',
    meaning: 'y += x over a box of four axes, each side with its own strides',
    operands: { ...copied, y: { shape: box, strides: ['y0', 'y1', 'y2', 'y3'], access: 'accumulate' } },
    dims: copyDims,
    flops: 'n0 * n1 * n2 * n3',
  },
  copyIf: {
    family: 'copy',
    meaning: 'y = x if flag ≠ 0, else y stays',
    operands: {
      flag: { shape: one, access: 'read' },
      x: { shape: n, access: 'read' },
      y: { shape: n, access: 'update' },
    },
    dims: n,
    flops: '0',
  },

  add: { family: 'elementwise', meaning: 'y = a + b', operands: binary, dims: n, flops: 'n' },
  mul: { family: 'elementwise', meaning: 'y = a · b, elementwise', operands: binary, dims: n, flops: 'n' },
  scale: {
    family: 'elementwise',
    meaning: 'y = factor · x, the factor a constant of the program',
    operands: unary,
    dims: n,
    scalars: ['factor'],
    flops: 'n',
  },
  scaleBy: {
    family: 'elementwise',
    meaning: 'y = factor · x, the factor read from the heap',
    operands: { ...unary, factor: { shape: one, access: 'read' } },
    dims: n,
    flops: 'n',
  },
  sigmoid: { family: 'elementwise', meaning: 'y = 1 / (1 + exp(−x))', operands: unary, dims: n, flops: 'n' },
  sigmoidBackward: {
    family: 'elementwise',
    meaning: 'dx = dy · (y − y²)',
    order: 'dy · fma(−y, y, y)',
    operands: unaryBackward,
    dims: n,
    flops: '3 * n',
  },
  tanh: { family: 'elementwise', meaning: 'y = tanh(x)', operands: unary, dims: n, flops: 'n' },
  tanhBackward: {
    family: 'elementwise',
    meaning: 'dx = dy · (1 − y²)',
    order: 'dy · fma(−y, y, 1)',
    operands: unaryBackward,
    dims: n,
    flops: '3 * n',
  },
  relu: { family: 'elementwise', meaning: 'y = max(x, 0); NaN stays NaN', operands: unary, dims: n, flops: 'n' },
  reluBackward: {
    family: 'elementwise',
    meaning: 'dx = y > 0 ? dy : 0',
    operands: unaryBackward,
    dims: n,
    flops: 'n',
  },
  gelu: {
    family: 'elementwise',
    meaning: 'y = x · Φ(x), Φ(x) = (1 + erf(x / √2)) / 2 (Hendrycks & Gimpel 2016); NaN stays NaN',
    order: 'max(x, 0) − h(a), a = min(|x|, 16), h(a) = a · Φ(−a) from exp(−a²/2)',
    operands: unary,
    dims: n,
    flops: '24 * n',
  },
  geluBackward: {
    family: 'elementwise',
    meaning: 'dx = dy · (Φ(x) + x · φ(x)), φ(x) = exp(−x²/2) / √(2π)',
    operands: unaryBackwardOfInput,
    dims: n,
    flops: '28 * n',
  },
  geluTanh: {
    family: 'elementwise',
    meaning: 'y = x · (1 + tanh(u)) / 2, u = √(2/π) · (x + 0.044715 · x³); NaN stays NaN',
    order: 'max(x, 0) − a · e / (1 + e), a = min(|x|, 16), e = exp(−2 · u(a))',
    operands: unary,
    dims: n,
    flops: '20 * n',
  },
  geluTanhBackward: {
    family: 'elementwise',
    meaning: 'dx = dy · ∂y/∂x of geluTanh',
    operands: unaryBackwardOfInput,
    dims: n,
    flops: '28 * n',
  },

  matmul: {
    family: 'matmul',
    meaning:
      'c = f(a · b + bias + residual) for each of a batch of matrices; any transpose is a choice of strides. activation says what f is: ' +
      `${activations.map((name, code) => `${code} ${name}`).join(', ')}; any other number is none`,
    order:
      'K in blocks of 256. The first block gives s = Σ a·b, or (Σ a·b) + bias; each later block gives s = s + Σ a·b. ' +
      'K = 0 gives 0 or bias. Then s = s + residual, preActivation = s, c = f(s): the bits that add and the instruction of f give. ' +
      'A matrix unit has an order of its own (numerics.md).',
    operands: {
      ...factors,
      bias: { shape: ['N'], access: 'read', optional: true },
      residual: { ...product, access: 'read', optional: true },
      preActivation: { ...product, access: 'write', optional: true },
      c: { ...product, access: 'write' },
    },
    dims: [...matmulDims, 'activation'],
    flops: '2 * batch * M * N * K',
    workspace: '256 * (M + N + 256)',
  },
  matmulAdd: {
    family: 'matmul',
    meaning: 'c += a · b for each of a batch of matrices',
    order: 'K in blocks of 256, each c = c + Σ a·b. A matrix unit has an order of its own (numerics.md).',
    operands: { ...factors, c: { ...product, access: 'accumulate' } },
    dims: matmulDims,
    flops: '2 * batch * M * N * K',
    workspace: '256 * (M + N + 256)',
  },

  columnSum: {
    family: 'reduce',
    meaning: 'y[c] = Σ over rows of x[r][c]',
    order: 'Σ within blocks of 64 rows, fold over the blocks. R = 0 gives 0.',
    operands: { x: { shape: ['R', 'C'], access: 'read' }, y: { shape: ['C'], access: 'write' } },
    dims: ['R', 'C'],
    flops: 'R * C',
    workspace: '(R + 64) / 64 * C',
  },
  columnSumAdd: {
    family: 'reduce',
    meaning: 'y[c] += Σ over rows of x[r][c]',
    order: 'Σ within blocks of 64 rows, fold over the blocks, then y = y + that. R = 0 leaves y as it is.',
    operands: { x: { shape: ['R', 'C'], access: 'read' }, y: { shape: ['C'], access: 'accumulate' } },
    dims: ['R', 'C'],
    flops: 'R * C',
    workspace: '(R + 64) / 64 * C',
  },
  sum: {
    family: 'reduce',
    meaning: 'y = Σ x',
    order: 'lanes(4096) within blocks of 4096, fold over the blocks. n = 0 gives 0.',
    operands: { x: { shape: n, access: 'read' }, y: { shape: one, access: 'write' } },
    dims: n,
    flops: 'n',
    workspace: '(n + 4096) / 4096',
  },
  squaredNorm: {
    family: 'reduce',
    meaning: 'y = Σ x²',
    order: 'as sum, each lane by fma(x, x, lane)',
    operands: { x: { shape: n, access: 'read' }, y: { shape: one, access: 'write' } },
    dims: n,
    flops: '2 * n',
    workspace: '(n + 4096) / 4096',
  },

  embedding: {
    family: 'embedding',
    meaning: 'y[i] = table[ids[i]]; an id outside 0 … V−1 gives a row of NaN',
    operands: {
      table: { shape: ['V', 'C'], access: 'read' },
      ids: { shape: ['N'], type: 'i32', access: 'read' },
      y: { shape: ['N', 'C'], access: 'write' },
    },
    dims: ['N', 'V', 'C'],
    flops: '0',
  },
  embeddingBackward: {
    family: 'embedding',
    meaning: 'dTable[ids[i]] += dy[i]; an id outside 0 … V−1 adds nothing',
    order: 'i ascending, each row added to the table in turn',
    operands: {
      ids: { shape: ['N'], type: 'i32', access: 'read' },
      dy: { shape: ['N', 'C'], access: 'read' },
      dTable: { shape: ['V', 'C'], access: 'accumulate' },
    },
    dims: ['N', 'V', 'C'],
    flops: 'N * C',
  },

  maskSteps: {
    family: 'sequence',
    meaning: 'y[t][b] = t < lengths[b] ? x[t][b] : 0',
    operands: {
      x: { shape: ['T', 'B', 'C'], access: 'read' },
      lengths: { shape: ['B'], type: 'i32', access: 'read' },
      y: { shape: ['T', 'B', 'C'], access: 'write', mayReplace: 'x' },
    },
    dims: ['T', 'B', 'C'],
    flops: '0',
  },

  lstmForward: {
    family: 'lstm',
    meaning: 'An LSTM layer over a sequence, from its projected inputs xGates (gate order i, f, g, o).',
    order:
      'pre = xGates + Σ over k of hidden[k]·weightHh[j][k] (one sum, no blocks). c = fma(i, g, f·c₋₁), tanhCell = tanh(c), ' +
      'hidden = o·tanhCell.',
    operands: {
      xGates: { shape: ['T', 'B', '4 * H'], access: 'read' },
      weightHh: { shape: ['4 * H', 'H'], access: 'read' },
      h0: { shape: ['B', 'H'], access: 'read', optional: true },
      c0: { shape: ['B', 'H'], access: 'read', optional: true },
      ...rows,
      hidden: { shape: ['T + 1', 'B', 'H'], access: 'write' },
      cell: { shape: ['T + 1', 'B', 'H'], access: 'write' },
      /** After the activation. */
      gates: { shape: ['T', 'B', '4 * H'], access: 'write', mayReplace: 'xGates' },
      tanhCell: { shape: ['T', 'B', 'H'], access: 'write' },
    },
    dims: ['T', 'B', 'H', 'reverse'],
    flops: '8 * T * B * H * H',
    workspace: 'B + T + 32 + 4 * H * (H + 16) + (B + 4) * (4 * H + 64)',
  },
  lstmBackward: {
    family: 'lstm',
    meaning:
      'The gradient of lstmForward: dGates with respect to xGates, dH0 and dC0 with respect to the initial states, from ' +
      'dHidden (of each step’s hidden state), dHLast and dCLast (of the final states). Inspected on request: total derivatives ' +
      'with respect to each hidden state, cell and gate value (after the activation).',
    order:
      'dh = recurrent + dHidden, with dHLast for recurrent where no step followed; ' +
      'dc = fma(dh·o, fma(−tanhCell, tanhCell, 1), dc₊₁·f₊₁); ' +
      'values: di = dc·g, df = dc·c₋₁, dg = dc·i, do = dh·tanhCell; dGates = di·fma(−i, i, i), df·fma(−f, f, f), ' +
      'dg·fma(−g, g, 1), do·fma(−o, o, o).',
    operands: {
      dHidden: { shape: ['T', 'B', 'H'], access: 'read', optional: true },
      dHLast: { shape: ['B', 'H'], access: 'read', optional: true },
      dCLast: { shape: ['B', 'H'], access: 'read', optional: true },
      weightHh: { shape: ['4 * H', 'H'], access: 'read' },
      gates: { shape: ['T', 'B', '4 * H'], access: 'read' },
      cell: { shape: ['T + 1', 'B', 'H'], access: 'read' },
      tanhCell: { shape: ['T', 'B', 'H'], access: 'read' },
      ...rows,
      dGates: { shape: ['T', 'B', '4 * H'], access: 'write', mayReplace: 'gates' },
      dH0: { shape: ['B', 'H'], access: 'write' },
      dC0: { shape: ['B', 'H'], access: 'write' },
      dHiddenTotal: { shape: ['T', 'B', 'H'], access: 'write', optional: true },
      dCellTotal: { shape: ['T', 'B', 'H'], access: 'write', optional: true },
      dGateValues: { shape: ['T', 'B', '4 * H'], access: 'write', optional: true },
    },
    dims: ['T', 'B', 'H', 'reverse'],
    flops: '8 * T * B * H * H',
    workspace: 'B + T + 32 + 4 * H * (H + 16) + (B + 4) * (4 * H + 64)',
  },

  softmaxCrossEntropy: {
    family: 'cross-entropy',
    meaning:
      'rowLoss[i] = −Σ over j of target[j] · log softmax(logits[i])[j] / denominator, and its gradient dLogits; target is ' +
      '1 − smoothing at labels[i], plus smoothing / V everywhere. A label equal to −100 is ignored: loss and gradient 0. Any ' +
      'other label outside 0 … V−1 gives NaN.',
    order:
      'm = max, e = exp(x − m), s = lanes(V) of e, q = x[label] − m; rowLoss = (log(s) − q) · w; ' +
      'dLogits = (e · (1 / s) − [j = label]) · w, with w = 1 / denominator. Where smoothing ≠ 0, mean = (lanes(V) of x − m) / V, ' +
      'q = fma(smoothing, mean − (x[label] − m), x[label] − m), ' +
      'dLogits = ((e · (1 / s) − smoothing / V) − [j = label] · (1 − smoothing)) · w.',
    operands: {
      logits: { shape: ['N', 'V'], access: 'read' },
      labels: { shape: ['N'], type: 'i32', access: 'read' },
      denominator: { shape: one, access: 'read' },
      rowLoss: { shape: ['N'], access: 'write' },
      dLogits: { shape: ['N', 'V'], access: 'write', optional: true, mayReplace: 'logits' },
    },
    dims: ['N', 'V'],
    scalars: ['smoothing'],
    flops: '4 * N * V',
  },

  dropout: {
    family: 'random',
    meaning:
      'y = u ≥ rate ? x · keepScale : 0, u uniform in [0, 1). Philox4x32-10 with key (seedLow, seedHigh) and counter ' +
      '(element / 4, stream, randomStep, 0); element e takes word e mod 4; u = (word >> 8) · 2⁻²⁴.',
    operands: { ...unary, random },
    dims: ['n', 'stream'],
    scalars: ['rate', 'keepScale'],
    flops: 'n',
  },
  philoxUniform: {
    family: 'random',
    meaning: 'y = fma(u, range, low), u as in dropout',
    operands: { random, y: { shape: n, access: 'write' } },
    dims: ['n', 'stream'],
    scalars: ['low', 'range'],
    flops: '2 * n',
  },
  philoxNormal: {
    family: 'random',
    meaning:
      'y = fma(z, deviation, mean), z by Box–Muller from the words (p, q) of elements 2k and 2k+1: ' +
      'r = sqrt(−2 · log(((p >> 8) + 1) · 2⁻²⁴)), z = r · cos(2π · (q >> 8) · 2⁻²⁴) for 2k and r · sin(…) for 2k+1',
    operands: { random, y: { shape: n, access: 'write' } },
    dims: ['n', 'stream'],
    scalars: ['mean', 'deviation'],
    flops: '2 * n',
  },

  clipByNorm: {
    family: 'optimizer',
    meaning:
      'norm = sqrt(squaredNorm); finite = 1 if squaredNorm is finite, else 0; ' +
      'factor = finite ? min(1, maxNorm / (norm + 1e-6)) : 0',
    operands: {
      squaredNorm: { shape: one, access: 'read' },
      maxNorm: { shape: one, access: 'read' },
      norm: { shape: one, access: 'write' },
      factor: { shape: one, access: 'write' },
      finite: { shape: one, access: 'write' },
    },
    dims: [],
    flops: '3',
  },
  sgd: {
    family: 'optimizer',
    meaning:
      'SGD with momentum over the parameter arena, segment by segment, if finite ≠ 0: g = clipFactor·gradient + decay·p, ' +
      'v = momentum·v + g, p −= learningRate·rateFactor·v. Frozen segments stay.',
    order: 'g = fma(decay, p, clipFactor·gradient); v = fma(momentum, v, g); p = fma(−(learningRate·rateFactor), v, p)',
    operands: { ...optimizer, velocity: { shape: ['P'], access: 'update' } },
    dims: ['P', 'S', 'G'],
    flops: '7 * P',
  },
  adamw: {
    family: 'optimizer',
    meaning:
      'AdamW (Loshchilov & Hutter 2019, algorithm 2) over the parameter arena, segment by segment, if finite ≠ 0. ' +
      'Frozen segments stay.',
    order:
      'rate = learningRate·rateFactor; g = clipFactor·gradient; m = fma(oneMinusBeta1, g, beta1·m); ' +
      'v = fma(oneMinusBeta2·g, g, beta2·v); p = fma(−(rate·decay), p, p); ' +
      'p = fma(−(rate·correction1), m / (sqrt(v·correction2) + epsilon), p)',
    operands: {
      ...optimizer,
      firstMoment: { shape: ['P'], access: 'update' },
      secondMoment: { shape: ['P'], access: 'update' },
    },
    dims: ['P', 'S', 'G'],
    flops: '14 * P',
  },

  layerNorm: {
    family: 'layer-norm',
    meaning:
      'y = gain ⊙ (x − mean) · inverseDeviation + bias, row by row; mean and variance are those of the C elements of a row, ' +
      'inverseDeviation = 1 / √(variance + epsilon)',
    order:
      'mean = lanes(C) of x / C; d = x − mean; variance = lanes(C) of d² (each lane by fma(d, d, lane)) / C; ' +
      'normal = d · inverseDeviation; y = fma(normal, gain, bias), without bias normal · gain, without gain normal + bias',
    operands: {
      x: { shape: ['R', 'C'], access: 'read' },
      gain: { shape: ['C'], access: 'read', optional: true },
      bias: { shape: ['C'], access: 'read', optional: true },
      y: { shape: ['R', 'C'], access: 'write', mayReplace: 'x' },
      mean: { shape: ['R'], access: 'write' },
      inverseDeviation: { shape: ['R'], access: 'write' },
    },
    dims: ['R', 'C'],
    scalars: ['epsilon'],
    flops: '7 * R * C',
  },
  layerNormBackward: {
    family: 'layer-norm',
    meaning:
      'The gradient of layerNorm: dx, and with respect to gain and bias, the sums over rows of dy · normal and of dy',
    order:
      'normal = (x − mean) · inverseDeviation; g = dy · gain; a = lanes(C) of g / C; b = lanes(C) of g · normal (each lane by ' +
      'fma(g, normal, lane)) / C; dx = inverseDeviation · fma(−normal, b, g − a). dGain (each term by fma(dy, normal, ·)) and dBias: ' +
      'Σ within blocks of 64 rows, fold over the blocks; R = 0 gives 0.',
    operands: {
      x: { shape: ['R', 'C'], access: 'read' },
      gain: { shape: ['C'], access: 'read', optional: true },
      dy: { shape: ['R', 'C'], access: 'read' },
      mean: { shape: ['R'], access: 'read' },
      inverseDeviation: { shape: ['R'], access: 'read' },
      dx: { shape: ['R', 'C'], access: 'write', mayReplace: 'dy' },
      dGain: { shape: ['C'], access: 'write', optional: true },
      dBias: { shape: ['C'], access: 'write', optional: true },
    },
    dims: ['R', 'C'],
    flops: '12 * R * C',
    workspace: '2 * (R + 64) / 64 * C',
  },

  attention: {
    family: 'attention',
    meaning:
      'Scaled dot-product attention of each head (Vaswani et al. 2017): y_t = Σ over keys j of softmax_j(scale · q_t · k_j) · v_j, ' +
      'scale = 1 / √HS, over the keys that t sees: mask[b][j] ≠ 0 and, with causal ≠ 0, j ≤ t. logSumExp is that of the scaled products, +∞ and ' +
      'y = 0 where a query sees no key. With random, each probability is kept as dropout keeps element (row, j) of a tensor ' +
      '[B · NH · T, 4 · ⌈T / 4⌉], and scaled by keepScale. Inspected on request: scores, the scaled products of all pairs; ' +
      'probabilities before dropout, 0 where a key is not seen',
    order:
      's = Σ over the head’s elements of (scale · q) · k. Keys in blocks of 64, from m = lowest float, l = 0, y = 0: n = max(m, s of ' +
      'the block), c = exp(m − n), p = exp(s − n) or 0 where not seen; l = c · l + Σ p; y = c · y + Σ (p, or p · keepScale or 0) · v; ' +
      'm = n. At last y = y · (1 / l), logSumExp = m + log l. A block of which nothing is seen may be left out. ' +
      'probabilities = exp(s − logSumExp).',
    operands: {
      ...attended,
      y: { shape: ['B', 'T', 'NH * HS'], access: 'write' },
      logSumExp: { shape: perHead, access: 'write' },
      scores: { shape: perPair, access: 'write', optional: true },
      probabilities: { shape: perPair, access: 'write', optional: true },
    },
    dims: attentionDims,
    scalars: attentionScalars,
    flops: '4 * B * NH * T * T * HS',
    workspace: 'lanes * 64 * (25 * HS + 700)',
  },
  attentionBackward: {
    family: 'attention',
    meaning:
      'The gradient of attention with respect to qkv; the probabilities are computed again from logSumExp, and drawn again. Inspected on ' +
      'request: with respect to each probability before dropout, as though each could change alone (so also where a key is not seen, ' +
      'but 0 where a query sees none), and with respect to each score (0 where a key is not seen)',
    order:
      's as attention; p = exp(s − logSumExp) or 0 where not seen; D = lanes(HS) of dy · y (each lane by fma(dy, y, lane)); ' +
      'dp = Σ over the head’s elements of dy · v, kept and scaled as p; ds = p · (dp − D). From 0, blocks of 64 in ascending order, each ' +
      'added as one Σ: dv = Σ over queries of (p kept and scaled) · dy, dk = Σ over queries of ds · (scale · q), ' +
      'dq = scale · (Σ over keys of ds · k). dk = dv = 0 for a masked key. A block of which nothing is seen may be left out.',
    operands: {
      ...attended,
      y: { shape: ['B', 'T', 'NH * HS'], access: 'read' },
      dy: { shape: ['B', 'T', 'NH * HS'], access: 'read' },
      logSumExp: { shape: perHead, access: 'read' },
      dqkv: { shape: ['B', 'T', '3 * NH * HS'], access: 'write' },
      dProbabilities: { shape: perPair, access: 'write', optional: true },
      dScores: { shape: perPair, access: 'write', optional: true },
    },
    dims: attentionDims,
    scalars: attentionScalars,
    flops: '10 * B * NH * T * T * HS',
    workspace: 'lanes * 64 * (65 * HS + 1940)',
  },

  div: { family: 'elementwise', meaning: 'y = a / b, elementwise', operands: binary, dims: n, flops: 'n' },
  sqrt: { family: 'elementwise', meaning: 'y = √x; NaN below 0', operands: unary, dims: n, flops: 'n' },

  liveSteps: {
    family: 'sequence',
    meaning: 'y[t][b] = t < lengths[b] ? 1 : 0',
    operands: {
      lengths: { shape: ['B'], type: 'i32', access: 'read' },
      y: { shape: ['T', 'B'], type: 'i32', access: 'write' },
    },
    dims: ['T', 'B'],
    flops: '0',
  },
  selectRows: {
    family: 'sequence',
    meaning: 'y[r] = flags[r] ≠ 0 ? a[r] : b[r]; an absent one is 0, and what is not chosen is not read',
    operands: {
      flags: { shape: ['R'], type: 'i32', access: 'read' },
      a: { shape: ['R', 'C'], access: 'read', optional: true },
      b: { shape: ['R', 'C'], access: 'read', optional: true },
      y: { shape: ['R', 'C'], access: 'write', mayReplace: 'a' },
    },
    dims: ['R', 'C'],
    flops: '0',
  },
  maxSteps: {
    family: 'sequence',
    meaning:
      'y[b] = max over t < lengths[b] of x[t][b], column by column, the first of equal ones; NaN if one is NaN, 0 if there is ' +
      'no step',
    operands: {
      x: { shape: ['T', 'B', 'C'], access: 'read' },
      lengths: { shape: ['B'], type: 'i32', access: 'read', optional: true },
      y: { shape: ['B', 'C'], access: 'write' },
    },
    dims: ['T', 'B', 'C'],
    flops: 'T * B * C',
  },
  maxStepsBackward: {
    family: 'sequence',
    meaning: 'dx[t][b][c] = dy[b][c] at the first t < lengths[b] where x[t][b][c] = y[b][c], else 0',
    operands: {
      x: { shape: ['T', 'B', 'C'], access: 'read' },
      lengths: { shape: ['B'], type: 'i32', access: 'read', optional: true },
      y: { shape: ['B', 'C'], access: 'read' },
      dy: { shape: ['B', 'C'], access: 'read' },
      dx: { shape: ['T', 'B', 'C'], access: 'write' },
    },
    dims: ['T', 'B', 'C'],
    flops: 'T * B * C',
  },

  rnnForward: {
    family: 'rnn',
    meaning:
      'A vanilla recurrent layer over a sequence, from its projected inputs xGates: tanh, or with relu ≠ 0 max(·, 0).',
    order: 'hidden = f(xGates + Σ over k of hidden[k]·weightHh[j][k]) (one sum, no blocks).',
    operands: {
      xGates: { shape: ['T', 'B', 'H'], access: 'read' },
      weightHh: { shape: ['H', 'H'], access: 'read' },
      h0: { shape: ['B', 'H'], access: 'read', optional: true },
      ...rows,
      hidden: { shape: ['T + 1', 'B', 'H'], access: 'write' },
    },
    dims: ['T', 'B', 'H', 'reverse', 'relu'],
    flops: '2 * T * B * H * H',
    workspace: 'B + T + 32 + H * (H + 16) + (B + 4) * (2 * H + 64)',
  },
  rnnBackward: {
    family: 'rnn',
    meaning:
      'The gradient of rnnForward: dGates with respect to xGates and dH0 with respect to the initial state, from dHidden (of ' +
      'each step’s hidden state) and dHLast (of the final state). Inspected on request: total derivatives with respect to ' +
      'each hidden state.',
    order:
      'dh = recurrent + dHidden, with dHLast for recurrent where no step followed; dGates = dh·fma(−h, h, 1), or h > 0 ? dh : 0.',
    operands: {
      dHidden: { shape: ['T', 'B', 'H'], access: 'read', optional: true },
      dHLast: { shape: ['B', 'H'], access: 'read', optional: true },
      weightHh: { shape: ['H', 'H'], access: 'read' },
      hidden: { shape: ['T + 1', 'B', 'H'], access: 'read' },
      ...rows,
      dGates: { shape: ['T', 'B', 'H'], access: 'write', mayReplace: 'dHidden' },
      dH0: { shape: ['B', 'H'], access: 'write' },
      dHiddenTotal: { shape: ['T', 'B', 'H'], access: 'write', optional: true },
    },
    dims: ['T', 'B', 'H', 'reverse', 'relu'],
    flops: '2 * T * B * H * H',
    workspace: 'B + T + 32 + H * (H + 16) + (B + 4) * (2 * H + 64)',
  },

  gruForward: {
    family: 'gru',
    meaning:
      'A GRU layer over a sequence, from its projected inputs xGates (gate order r, z, n). The reset gate acts on the recurrent ' +
      'part of the candidate, recurrentN, which is kept.',
    order:
      'q = Σ over k of hidden[k]·weightHh[j][k] (one sum, no blocks) + biasHh. r, z = σ(xGates + q); recurrentN = q of n; ' +
      'n = tanh(fma(r, recurrentN, xGates)); hidden = fma(z, h₋₁ − n, n).',
    operands: {
      xGates: { shape: ['T', 'B', '3 * H'], access: 'read' },
      weightHh: { shape: ['3 * H', 'H'], access: 'read' },
      biasHh: { shape: ['3 * H'], access: 'read', optional: true },
      h0: { shape: ['B', 'H'], access: 'read', optional: true },
      ...rows,
      hidden: { shape: ['T + 1', 'B', 'H'], access: 'write' },
      /** After the activation. */
      gates: { shape: ['T', 'B', '3 * H'], access: 'write', mayReplace: 'xGates' },
      recurrentN: { shape: ['T', 'B', 'H'], access: 'write' },
    },
    dims: ['T', 'B', 'H', 'reverse'],
    flops: '6 * T * B * H * H',
    workspace: 'B + T + 32 + 3 * H * (H + 16) + (B + 4) * (4 * H + 64)',
  },
  gruBackward: {
    family: 'gru',
    meaning:
      'The gradient of gruForward: dGates with respect to xGates, dRecurrent with respect to weightHh · h₋₁ + biasHh, dH0 with ' +
      'respect to the initial state, from dHidden (of each step’s hidden state) and dHLast (of the final state). Inspected on ' +
      'request: total derivatives with respect to each hidden state and gate value (after the activation).',
    order:
      'dh = (recurrent + z₊₁·dh₊₁) + dHidden, with dHLast for the bracket where no step followed; values: dz = dh·(h₋₁ − n), ' +
      'dn = fma(−z, dh, dh), dr = pn·recurrentN; dGates = pr = dr·fma(−r, r, r), pz = dz·fma(−z, z, z), pn = dn·fma(−n, n, 1); ' +
      'dRecurrent = pr, pz, pn·r.',
    operands: {
      dHidden: { shape: ['T', 'B', 'H'], access: 'read', optional: true },
      dHLast: { shape: ['B', 'H'], access: 'read', optional: true },
      weightHh: { shape: ['3 * H', 'H'], access: 'read' },
      gates: { shape: ['T', 'B', '3 * H'], access: 'read' },
      recurrentN: { shape: ['T', 'B', 'H'], access: 'read' },
      hidden: { shape: ['T + 1', 'B', 'H'], access: 'read' },
      ...rows,
      dGates: { shape: ['T', 'B', '3 * H'], access: 'write', mayReplace: 'gates' },
      dRecurrent: { shape: ['T', 'B', '3 * H'], access: 'write' },
      dH0: { shape: ['B', 'H'], access: 'write' },
      dHiddenTotal: { shape: ['T', 'B', 'H'], access: 'write', optional: true },
      dGateValues: { shape: ['T', 'B', '3 * H'], access: 'write', optional: true },
    },
    dims: ['T', 'B', 'H', 'reverse'],
    flops: '6 * T * B * H * H',
    workspace: 'B + T + 32 + 3 * H * (H + 16) + (B + 4) * (4 * H + 64)',
  },

  projectedLstmForward: {
    family: 'projected-lstm',
    meaning:
      'An LSTM layer whose hidden state is projected to P elements, from its projected inputs xGates (gate order i, f, g, o). ' +
      'unprojected, o·tanhCell, is 0 where t ≥ lengths[b].',
    order:
      'as lstmForward up to unprojected = o·tanhCell; hidden[p] = Σ over k of unprojected[k]·weightHr[p][k] (no blocks).',
    operands: {
      xGates: { shape: ['T', 'B', '4 * H'], access: 'read' },
      weightHh: { shape: ['4 * H', 'P'], access: 'read' },
      weightHr: { shape: ['P', 'H'], access: 'read' },
      h0: { shape: ['B', 'P'], access: 'read', optional: true },
      c0: { shape: ['B', 'H'], access: 'read', optional: true },
      ...rows,
      hidden: { shape: ['T + 1', 'B', 'P'], access: 'write' },
      cell: { shape: ['T + 1', 'B', 'H'], access: 'write' },
      /** After the activation. */
      gates: { shape: ['T', 'B', '4 * H'], access: 'write', mayReplace: 'xGates' },
      tanhCell: { shape: ['T', 'B', 'H'], access: 'write' },
      unprojected: { shape: ['T', 'B', 'H'], access: 'write' },
    },
    dims: ['T', 'B', 'H', 'P', 'reverse'],
    flops: '10 * T * B * H * P',
    workspace: 'B + T + 32 + 5 * (H + 16) * (P + 16) + (B + 4) * (4 * H + P + 64)',
  },
  projectedLstmBackward: {
    family: 'projected-lstm',
    meaning:
      'The gradient of projectedLstmForward, as lstmBackward is of lstmForward; dHiddenTotal, the total derivative with respect to ' +
      'each hidden state, is what the gradient of weightHr is made of.',
    order:
      'dHiddenTotal as dh of lstmBackward; its dh = Σ over p of dHiddenTotal[p]·weightHr[p][k] (no blocks); then the same.',
    operands: {
      dHidden: { shape: ['T', 'B', 'P'], access: 'read', optional: true },
      dHLast: { shape: ['B', 'P'], access: 'read', optional: true },
      dCLast: { shape: ['B', 'H'], access: 'read', optional: true },
      weightHh: { shape: ['4 * H', 'P'], access: 'read' },
      weightHr: { shape: ['P', 'H'], access: 'read' },
      gates: { shape: ['T', 'B', '4 * H'], access: 'read' },
      cell: { shape: ['T + 1', 'B', 'H'], access: 'read' },
      tanhCell: { shape: ['T', 'B', 'H'], access: 'read' },
      ...rows,
      dGates: { shape: ['T', 'B', '4 * H'], access: 'write', mayReplace: 'gates' },
      dH0: { shape: ['B', 'P'], access: 'write' },
      dC0: { shape: ['B', 'H'], access: 'write' },
      dHiddenTotal: { shape: ['T', 'B', 'P'], access: 'write' },
      dCellTotal: { shape: ['T', 'B', 'H'], access: 'write', optional: true },
      dGateValues: { shape: ['T', 'B', '4 * H'], access: 'write', optional: true },
    },
    dims: ['T', 'B', 'H', 'P', 'reverse'],
    flops: '10 * T * B * H * P',
    workspace: 'B + T + 32 + 5 * (H + 16) * (P + 16) + (B + 4) * (4 * H + P + 64)',
  },
} as const satisfies Record<string, InstructionSpec>;

export type InstructionName = keyof typeof instructions;
export type OperandName<I extends InstructionName> = keyof (typeof instructions)[I]['operands'] & string;
export type DimName<I extends InstructionName> = (typeof instructions)[I]['dims'][number];
export type ScalarName<I extends InstructionName> = (typeof instructions)[I] extends {
  readonly scalars: readonly (infer S extends string)[];
}
  ? S
  : never;

type Operands<I extends InstructionName> = (typeof instructions)[I]['operands'];
type OptionalOperand<I extends InstructionName> = {
  [K in OperandName<I>]: Operands<I>[K & keyof Operands<I>] extends { readonly optional: true } ? K : never;
}[OperandName<I>];

/** A value of type `Ref` for every operand of an instruction; optional operands may be left out. */
export type OperandValues<I extends InstructionName, Ref> = {
  readonly [K in Exclude<OperandName<I>, OptionalOperand<I>>]: Ref;
} & { readonly [K in OptionalOperand<I>]?: Ref | undefined };

export const instructionNames = Object.keys(instructions) as InstructionName[];

/** The same list with uniform types, for code that walks every instruction. */
export const specOf = (name: InstructionName): InstructionSpec => instructions[name];

/** The code of an instruction in a program: its position in the list, from 1. */
export const codeOf = (name: InstructionName): number => instructionNames.indexOf(name) + 1;
