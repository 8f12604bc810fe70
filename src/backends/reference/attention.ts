/**
 * Scaled dot-product attention of several heads (Vaswani et al. 2017, equation 1). For query t and the keys j it sees:
 *
 *     s_j = scale · q_t·k_j           scores               scale = 1/√HS
 *     p_j = exp(s_j) / Σ exp(s_i)     probabilities        Σ over the keys that t sees
 *     r_j = p_j · keep_j              what dropout leaves  keep_j = 0 or keepScale; 1 without dropout
 *     y_t = Σ r_j · v_j
 *
 * logSumExp_t = log Σ exp(s_i), from which backward computes p_j = exp(s_j − logSumExp_t) again. With it
 *
 *     dv_j = Σ over t of r_j · dy_t
 *     dr_j = dy_t·v_j,   dp_j = dr_j · keep_j
 *     ds_j = p_j · (dp_j − D_t),   D_t = Σ p_i · dp_i = Σ r_i · dr_i = dy_t·y_t
 *     dq_t = scale · Σ over j of ds_j · k_j,   dk_j = scale · Σ over t of ds_j · q_t
 *
 * D_t is a product of two vectors that are there anyway (Dao et al. 2022, "FlashAttention", appendix B.2). A query that sees no key has
 * logSumExp = +∞, y = 0, and gives no gradient.
 */
import type { Call } from '../../program/encode.js';
import { draw, UNIT } from './random.js';
import type { Definition, Tensor } from './tensor.js';

type Attention = Call<Tensor, 'attention' | 'attentionBackward'>;

/** A query of a head with all that there is to say about its keys. */
interface Query {
  readonly b: number;
  readonly h: number;
  readonly t: number;
  readonly isSeen: (j: number) => boolean;
  readonly seesAny: boolean;
  /** s_j, for any key. */
  readonly score: (j: number) => number;
  readonly keep: (j: number) => number;
}

/** Calls `visit` for every query of every head. */
function forQueries({ operands, dims, scalars }: Attention, visit: (query: Query) => void): void {
  const { qkv, mask, random } = operands;
  const { B, T, NH, HS, causal, stream } = dims;
  const scale = 1 / Math.sqrt(HS);
  const drawn = random && draw(random, stream);
  const columns = 4 * Math.ceil(T / 4);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < NH; h++) {
      for (let t = 0; t < T; t++) {
        const row = (b * NH + h) * T + t;
        const isSeen = (j: number): boolean => (mask?.at(b, j) ?? 1) !== 0 && (causal === 0 || j <= t);
        const score = (j: number): number => {
          let s = 0;
          for (let i = 0; i < HS; i++) {
            s += scale * qkv.at(b, t, part(dims, 0, h, i)) * qkv.at(b, j, part(dims, 1, h, i));
          }
          return s;
        };
        const keep = (j: number): number => {
          if (drawn === undefined) return 1;
          return drawn(row * columns + j) * UNIT >= scalars.rate ? scalars.keepScale : 0;
        };
        visit({ b, h, t, isSeen, seesAny: keysOf(T).some(isSeen), score, keep });
      }
    }
  }
}

const keysOf = (T: number): number[] => [...Array(T).keys()];

/** Where element i of head h of Q (0), K (1) or V (2) stands in a row of qkv. */
const part = ({ NH, HS }: Attention['dims'], which: number, h: number, i: number): number => (which * NH + h) * HS + i;

export const attention: Definition<'attention'> = (call) => {
  const { operands, dims } = call;
  const { qkv, y, logSumExp, scores, probabilities } = operands;
  const { T, HS } = dims;
  forQueries(call, ({ b, h, t, isSeen, seesAny, score, keep }) => {
    const keys = keysOf(T);
    const s = keys.map(score);
    const m = keys.reduce((most, j) => (isSeen(j) ? Math.max(most, s[j] as number) : most), -Number.MAX_VALUE);
    const e = keys.map((j) => (isSeen(j) ? Math.exp((s[j] as number) - m) : 0));
    const sum = e.reduce((total, each) => total + each, 0);
    const p = e.map((each, j) => (isSeen(j) ? each / sum : 0));
    logSumExp.set(seesAny ? m + Math.log(sum) : Number.POSITIVE_INFINITY, b, h, t);
    const r = p.map((each, j) => each * keep(j));
    for (let i = 0; i < HS; i++) {
      let value = 0;
      for (const j of keys.filter(isSeen)) value += (r[j] as number) * qkv.at(b, j, part(dims, 2, h, i));
      y.set(value, b, t, h * HS + i);
    }
    for (const j of keys) {
      scores?.set(s[j] as number, b, h, t, j);
      probabilities?.set(p[j] as number, b, h, t, j);
    }
  });
};

export const attentionBackward: Definition<'attentionBackward'> = (call) => {
  const { operands, dims } = call;
  const { qkv, y, dy, logSumExp, dqkv, dProbabilities, dScores } = operands;
  const { B, T, NH, HS } = dims;
  const C = NH * HS;
  const scale = 1 / Math.sqrt(HS);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) for (let column = 0; column < 3 * C; column++) dqkv.set(0, b, t, column);
  }
  forQueries(call, ({ b, h, t, isSeen, seesAny, score, keep }) => {
    let D = 0;
    for (let i = 0; i < HS; i++) D += dy.at(b, t, h * HS + i) * y.at(b, t, h * HS + i);
    for (let j = 0; j < T; j++) {
      const seen = isSeen(j);
      let dr = 0;
      for (let i = 0; i < HS; i++) dr += dy.at(b, t, h * HS + i) * qkv.at(b, j, part(dims, 2, h, i)); // of: y = Σ r·v
      const kept = keep(j);
      const dp = dr * kept; // of: r = p·keep
      const p = seen ? Math.exp(score(j) - logSumExp.at(b, h, t)) : 0;
      const ds = seen ? p * (dp - D) : 0; // of: p = exp(s) / Σ exp(s)
      dProbabilities?.set(seesAny ? dp : 0, b, h, t, j);
      dScores?.set(ds, b, h, t, j);
      for (let i = 0; seen && i < HS; i++) {
        const [q, k, v] = [part(dims, 0, h, i), part(dims, 1, h, i), part(dims, 2, h, i)];
        dqkv.add(scale * ds * qkv.at(b, j, k), b, t, q); // of: s = scale·q·k
        dqkv.add(scale * ds * qkv.at(b, t, q), b, j, k); // of: s = scale·q·k
        dqkv.add(p * kept * dy.at(b, t, h * HS + i), b, j, v); // of: y = Σ r·v
      }
    }
  });
};
