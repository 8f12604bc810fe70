/** Magnitudes of attention for the tolerance of its results, and cases whose saved values belong to their inputs. */
import { reference } from './bench.js';
import { type Case, caseOf, type Fillings, inputsOf, type Values } from './case.js';

type Pair = 'attention' | 'attentionBackward';

const arrays = (values: Values) => (name: string) => values.get(name) as Float64Array;

/** An exponential is at least 2⁻¹²⁶, which may be all that is wrong with it; this times 2⁻²⁴ is that. */
const LEAST = 2 ** -102;

/**
 * What the results would be if nothing cancelled. An exponential has the rounding of its argument, times the size of what that is
 * a sum of, besides its own: so every term with a probability counts (1 + Σ|scale·q·k| + |logSumExp|) times.
 */
export function ofAttention(testCase: Case, inputs: Values, expected: Values): Values {
  const { B = 0, T = 0, NH = 0, HS = 0, causal = 0 } = testCase.dims;
  const { keepScale = 1 } = testCase.scalars;
  const scale = 1 / Math.sqrt(HS);
  const isBackward = testCase.instruction === 'attentionBackward';
  const input = arrays(inputs);
  const [dy, mask] = [inputs.get('dy') ?? new Float64Array(), inputs.get('mask')];
  const qkv = input('qkv').map(Math.abs);
  const logSumExp = isBackward ? input('logSumExp') : arrays(expected)('logSumExp');
  const kept = inputs.has('random') ? keepScale : 1;
  const sizes = new Map([...expected].map(([name, { length }]) => [name, new Float64Array(length)]));
  const add = (name: string, index: number, size: number): void => {
    const its = sizes.get(name);
    if (its !== undefined) its[index] = (its[index] as number) + size;
  };
  const at = (which: number, b: number, t: number, h: number, i: number): number =>
    ((b * T + t) * 3 + which) * NH * HS + h * HS + i;
  const dot = (a: ArrayLike<number>, first: number, b: ArrayLike<number>, second: number): number => {
    let sum = 0;
    for (let i = 0; i < HS; i++) sum += Math.abs((a[first + i] as number) * (b[second + i] as number));
    return sum;
  };
  for (let head = 0; head < B * NH; head++) {
    const [b, h] = [Math.floor(head / NH), head % NH];
    for (let t = 0; t < T; t++) {
      const query = head * T + t;
      const row = (b * T + t) * NH * HS + h * HS;
      const lse = logSumExp[query] as number;
      const signed = (j: number): number => {
        let s = 0;
        for (let i = 0; i < HS; i++)
          s += scale * (input('qkv')[at(0, b, t, h, i)] as number) * (input('qkv')[at(1, b, j, h, i)] as number);
        return s;
      };
      const sums = Array.from({ length: T }, (_, j) => scale * dot(qkv, at(0, b, t, h, 0), qkv, at(1, b, j, h, 0)));
      const isSeen = (j: number): boolean => (mask?.[b * T + j] ?? 1) !== 0 && (causal === 0 || j <= t);
      const largest = Math.max(0, ...sums.filter((_, j) => isSeen(j)));
      add('logSumExp', query, 1 + largest + Math.abs(lse));
      const D = isBackward ? dot(dy, row, input('y'), row) : 0;
      for (let j = 0; j < T; j++) {
        const pair = query * T + j;
        const inexact = Math.exp(signed(j) - lse) * (1 + largest + Math.abs(lse)) + LEAST;
        add('scores', pair, sums[j] as number);
        if (isBackward) add('dProbabilities', pair, kept * dot(dy, row, qkv, at(2, b, j, h, 0)));
        if (!isSeen(j) || lse === Infinity) continue;
        add('probabilities', pair, inexact);
        for (let i = 0; i < HS; i++) add('y', row + i, inexact * kept * (qkv[at(2, b, j, h, i)] as number));
        if (!isBackward) continue;
        const ds = inexact * (kept * dot(dy, row, qkv, at(2, b, j, h, 0)) + D);
        add('dScores', pair, ds);
        for (let i = 0; i < HS; i++) {
          add('dqkv', at(0, b, t, h, i), scale * ds * (qkv[at(1, b, j, h, i)] as number));
          add('dqkv', at(1, b, j, h, i), scale * ds * (qkv[at(0, b, t, h, i)] as number));
          add('dqkv', at(2, b, j, h, i), kept * inexact * Math.abs(dy[row + i] as number));
        }
      }
    }
  }
  return sizes;
}

interface AttentionCase {
  readonly note?: string;
  readonly fillings?: Fillings<Pair>;
  readonly absent?: readonly 'mask'[];
  /** Of dropout; there is none when absent. */
  readonly rate?: number;
}

export interface AttentionSizes {
  readonly B: number;
  readonly T: number;
  readonly NH: number;
  readonly HS: number;
  readonly causal: number;
}

/** A forward case and the backward case of the same inputs, with what the forward one saves. All that can be inspected is. */
export async function attentionCases(
  sizes: AttentionSizes,
  { note = '', fillings = {}, absent = [], rate }: AttentionCase = {},
): Promise<Record<Pair, Case>> {
  const dims = { ...sizes, stream: 7 };
  const missing = [...absent, ...(rate === undefined ? (['random'] as const) : [])];
  const scalars = { rate: rate ?? 0, keepScale: 1 / (1 - (rate ?? 0)) };
  const options = { note: rate === undefined ? note : `${note} rate ${rate}`, scalars, absent: missing };
  const given = { random: [5, 6, 7], ...fillings };
  const forward = caseOf('attention', dims, { ...options, fillings: given });
  const inputs = inputsOf(forward);
  const saved = await reference(forward, inputs);
  const list = (values: Values, name: string): number[] => [...(values.get(name) ?? [])].map(Math.fround);
  const fromForward = { qkv: list(inputs, 'qkv'), y: list(saved, 'y'), logSumExp: list(saved, 'logSumExp') };
  return {
    attention: forward,
    attentionBackward: caseOf('attentionBackward', dims, { ...options, fillings: { ...given, ...fromForward } }),
  };
}
