/**
 * Attention of several heads without a matrix of all pairs: some queries meet blocks of 64 keys one after the other (Dao et al. 2022,
 * "FlashAttention"). Equations: the reference; order of sums: the instruction list.
 *
 * Pairs are held key by key, in strips of twelve queries, so what happens to the softmax of a query happens to a lane: maxima and
 * sums need nothing across lanes. The rows of K, and backward those of V, are left factors that are read where they lie.
 */
import { Attention, AttentionBackward } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes, sumOf16 } from '../simd/lanes';
import * as math from '../simd/math';
import { packRowMajor, packStrips, transpose4 } from '../simd/pack';
import { philox, uniform } from '../simd/philox';
import { fillRow } from '../simd/rows';
import { multiplyRoomyStrip, multiplyStrip, STRIP, STRIP_ROW, ZEROS } from '../simd/tile';
import { inTurn, laneScratch, lanes, ownLane, parallel, Work } from '../team';
import { ceilDiv } from '../tickets';

/** Keys of a block, and backward queries too: where sums are cut. */
const BLOCK: i32 = 64;
const BLOCK_BYTES: usize = 256;
/** Of a block [64][64]. */
const SQUARE_BYTES: usize = 64 * BLOCK_BYTES;
/** Most queries of a forward ticket: eleven strips. How many they are is not part of the order of sums. */
const QUERIES: i32 = 132;

/** Pairs of a strip and a block of keys. */
const STRIP_BYTES: usize = 64 * STRIP_ROW;
/** Elements between the parts of a lane's memory that have no other size. */
const HEADER_BYTES: usize = 256;

const LOWEST: f32 = -3.4028234663852886e38;

/** Multiplications of an instruction that are worth sharing, and of a ticket that is not brief. */
const LEAST_SHARED: f64 = 131072;
const LONG: f64 = 524288;

/** What a lane works on, at the start of its memory: a head of a row of the batch, some of its queries, a block of its keys. */
@unmanaged
class Head {
  /** Of all heads of all rows. */
  number: i32;
  T: i32;
  HS: i32;
  causal: i32;
  /** Bytes between the positions of qkv and of y. */
  step: usize;
  width: usize;
  q: usize;
  k: usize;
  v: usize;
  /** One of each key; 0 where there is none. */
  mask: usize;
  /** Where y and dy of this head begin, in bytes. */
  inOutput: usize;
  /** 0 where nothing is dropped. */
  random: usize;
  stream: i32;
  rate: f32;
  keepScale: f32;
  scale: f32;

  /** The first query and how many, the first key and how many up to the last that is not masked. */
  query: i32;
  queries: i32;
  key: i32;
  keys: i32;
  /** Whether some of the keys must not be seen by some of the queries. */
  hides: bool;

  /** Memory of the lane. */
  memory: usize;

  @inline isMasked(key: i32): bool { return this.mask != 0 && load<i32>(this.mask + (<usize>key << 2)) == 0; }
  @inline get strips(): i32 { return ceilDiv(this.queries, STRIP); }
  /** Queries of a strip. */
  @inline columns(strip: i32): i32 { return min(STRIP, this.queries - strip * STRIP); }
}

@inline function headAt<Record>(r: Record, number: i32, memory: usize): Head {
  const head = changetype<Head>(memory);
  const T = r.T, HS = r.HS, b = number / r.NH, h = <usize>(number % r.NH);
  head.number = number;
  head.T = T;
  head.HS = HS;
  head.causal = r.causal;
  head.width = <usize>r.NH * HS << 2;
  head.step = head.width * 3;
  head.q = r.qkv + <usize>b * T * head.step + (h * HS << 2);
  head.k = head.q + head.width;
  head.v = head.k + head.width;
  head.mask = r.mask ? r.mask + (<usize>b * T << 2) : 0;
  head.inOutput = <usize>b * T * head.width + (h * HS << 2);
  head.random = r.random;
  head.stream = r.stream;
  head.rate = r.rate;
  head.keepScale = r.keepScale;
  head.scale = 1 / sqrt<f32>(<f32>HS);
  head.memory = memory + HEADER_BYTES;
  return head;
}

/** Memory of this lane, `bytes` for each. */
@inline function ownMemory(workspace: usize, bytes: usize): usize { return workspace + <usize>ownLane() * bytes; }

/** Shares tickets out if they are worth it. */
@inline function share<Record>(r: Record, workspace: usize, tickets: i32, multiplications: f64, work: Work): void {
  const record = changetype<usize>(r);
  if (multiplications < LEAST_SHARED) inTurn(tickets, work, record, workspace);
  else parallel(tickets, work, record, workspace, multiplications < LONG * <f64>tickets);
}

/** Goes to a block of keys, and says whether any of them is seen. With causal, queries are those of a block too. */
function meet(head: Head, key: i32): bool {
  const causal = head.causal != 0;
  let keys = causal && key > head.query ? 0 : min(head.T - key, BLOCK);
  while (keys > 0 && head.isMasked(key + keys - 1)) keys--;
  head.key = key;
  head.keys = keys;
  head.hides = causal && key + keys > head.query + 1;
  for (let j = key; j < key + keys && !head.hides; j++) head.hides = head.isMasked(j);
  return keys > 0;
}

/** As {@link meet}, whether they are seen or not. */
function meetAll(head: Head, key: i32): void {
  head.key = key;
  head.keys = min(head.T - key, BLOCK);
  head.hides = true;
}

/** All ones where key j of the block is seen by the queries from `query` on. */
@inline function seen(head: Head, query: i32, j: i32): v128 {
  const key = head.key + j;
  if (head.isMasked(key)) return splat(0);
  if (head.causal == 0) return i32x4.splat(-1);
  return i32x4.ge_s(i32x4.add(i32x4.splat(query), i32x4(0, 1, 2, 3)), i32x4.splat(key));
}

/** Words of Philox for four queries from `query` on and the keys j … j + 3 of the block, a row of four for each key. */
@inline function draw(head: Head, query: i32, j: i32, to: usize): void {
  const blocks = ceilDiv(head.T, 4), row = head.number * head.T + query;
  philox(row * blocks + ((head.key + j) >> 2), blocks, head.random, head.stream, to);
}
/** keepScale or 0 for each query and key j of the block, from the words of its four. */
@inline function keepOf(head: Head, words: usize, j: i32): v128 {
  const kept = f32x4.ge(uniform(v128.load(words + (<usize>(j & 3) << 4))), splat(head.rate));
  return v128.and(splat(head.keepScale), kept);
}

@inline function padded(n: i32, size: i32): i32 { return ceilDiv(n, size) * size; }
/** Bytes of a strip of [HS] rows that is computed: there is room for two. */
@inline function tallStrip(HS: i32): usize { return <usize>max(HS, 2) * STRIP_ROW; }

/** to = factor · from, rows [HS] of the queries as columns: strips [HS][12], `stripBytes` apart. */
function packAcross(head: Head, from: usize, step: usize, factor: f32, to: usize): void {
  const HS = head.HS, queries = head.queries;
  packStrips(to, from, step, 4, queries, HS);
  if (factor != 1) scaleStrips(to, HS, queries, factor);
}

/** to = factor · from, rows [HS] of the queries: strips [queries][12] of the elements. */
function packAlong(head: Head, from: usize, step: usize, factor: f32, to: usize): void {
  const HS = head.HS, queries = head.queries;
  packStrips(to, from, 4, step, HS, queries);
  if (factor != 1) scaleStrips(to, queries, HS, factor);
}

function scaleStrips(strip: usize, rows: i32, columns: i32, factor: f32): void {
  for (let left = columns; left > 0; left -= STRIP) {
    for (let row = 0; row < rows; row++, strip += STRIP_ROW) {
      for (let at: usize = 0, rest = min(left, STRIP); rest > 0; rest -= 4, at += 16) {
        v128.store(strip + at, f32x4.mul(splat(factor), v128.load(strip + at)));
      }
    }
  }
}

/** to [HS][64] = the rows of the block's keys as columns, 0 for keys that are masked. */
function packKeysAcross(head: Head, rows: usize, to: usize): void {
  const HS = head.HS;
  packRowMajor(to, BLOCK_BYTES, rows + <usize>head.key * head.step, 4, head.step, HS, head.keys);
  for (let j = 0; j < head.keys; j++) {
    if (!head.isMasked(head.key + j)) continue;
    for (let i = 0, at = to + (<usize>j << 2); i < HS; i++, at += BLOCK_BYTES) store<f32>(at, 0);
  }
}

/** Pairs of a strip = rows of the block's keys · the strip of queries, `across`. */
function multiplyPairs(head: Head, rows: usize, strip: i32, across: usize, to: usize): void {
  if (head.HS == 0) {
    fillRow(head.keys * STRIP, 0, to);
    return;
  }
  const a = rows + <usize>head.key * head.step;
  multiplyRoomyStrip(head.keys, head.columns(strip), head.HS, a, head.step, across, ZEROS, 0, to, STRIP_ROW);
}

/** Rows of `to` [queries][HS], `step` bytes apart = factors · from, strips of tall columns [HS][12]; `factors` is one for each query. */
function unpackAcross(head: Head, from: usize, factors: usize, to: usize, step: usize): void {
  const HS = head.HS;
  for (let query = 0; query < head.queries; query += 4, factors += 16, to += step * 4) {
    const column = from + <usize>(query / STRIP) * tallStrip(HS) + (<usize>(query % STRIP) << 2);
    const factor = v128.load(factors), queries = head.queries - query;
    let i = 0;
    if (queries >= 4) {
      for (; i + 4 <= HS; i += 4) {
        const at = column + <usize>i * STRIP_ROW;
        transpose4(
          to + (<usize>i << 2), step, f32x4.mul(v128.load(at), factor), f32x4.mul(v128.load(at, 48), factor),
          f32x4.mul(v128.load(at, 96), factor), f32x4.mul(v128.load(at, 144), factor),
        );
      }
    }
    for (; i < HS; i++) {
      const row = laneScratch();
      v128.store(row, f32x4.mul(v128.load(column + <usize>i * STRIP_ROW), factor));
      for (let q = 0; q < min(queries, 4); q++) {
        store<f32>(to + <usize>q * step + (<usize>i << 2), load<f32>(row + (<usize>q << 2)));
      }
    }
  }
}

/** to [query][key] of the head, T keys to a row = pairs of a strip. */
function writePairs(head: Head, strip: i32, pairs: usize, to: usize): void {
  const T = <usize>head.T, first = head.query + strip * STRIP;
  to += (<usize>head.number * T + <usize>first) * T + <usize>head.key << 2;
  for (let query = 0; query < head.columns(strip); query++, to += T << 2) {
    for (let j = 0; j < head.keys; j++) {
      store<f32>(to + (<usize>j << 2), load<f32>(pairs + <usize>j * STRIP_ROW + (<usize>query << 2)));
    }
  }
}

// Forward

/** The parts of a lane's memory, for strips of queries; each state of the softmax has QUERIES elements. */
@inline function queriesAt(head: Head): usize { return head.memory; }
@inline function yAt(head: Head): usize { return head.memory + <usize>QUERIES * head.HS * 4; }
@inline function valuesAt(head: Head): usize { return yAt(head) + <usize>(QUERIES / STRIP) * tallStrip(head.HS); }
@inline function pairsAt(head: Head): usize { return valuesAt(head) + <usize>head.HS * BLOCK_BYTES; }
@inline function mostAt(head: Head): usize { return pairsAt(head) + STRIP_BYTES; }
@inline function sumAt(head: Head): usize { return mostAt(head) + QUERIES * 4; }
@inline function factorAt(head: Head): usize { return sumAt(head) + QUERIES * 4; }
@inline function forwardBytes(HS: i32): usize { return <usize>64 * (6 * HS + 80) * 4; }

/** Queries of a ticket: the head's, in nearly equal parts of whole strips; with causal, those that meet the same keys. */
@inline function queriesOf(T: i32, causal: i32): i32 { return causal ? BLOCK : padded(ceilDiv(T, ceilDiv(T, QUERIES)), STRIP); }

/** qkv [B, T, 3·NH·HS] → y [B, T, NH·HS], logSumExp [B, NH, T]. */
export function attention(r: Attention, workspace: usize): void {
  const T = r.T, heads = r.B * r.NH;
  if (heads == 0 || T == 0) return;
  share(r, workspace, heads * ceilDiv(T, queriesOf(T, r.causal)), 2 * <f64>T * T * r.HS * heads, attentionTicket);
}

function attentionTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<Attention>(record);
  const T = r.T, queries = queriesOf(T, r.causal), parts = ceilDiv(T, queries);
  const head = headAt(r, ticket / parts, ownMemory(workspace, forwardBytes(r.HS)));
  head.query = ticket % parts * queries;
  head.queries = min(queries, T - head.query);
  begin(head);
  for (let key = 0; key < T; key += BLOCK) {
    if (meet(head, key)) attend(head);
  }
  finish(head, r);
  if (r.scores || r.probabilities) inspect(head, r);
}

/** Nothing is seen yet. */
function begin(head: Head): void {
  packAcross(head, head.q + <usize>head.query * head.step, head.step, head.scale, queriesAt(head));
  fillRow(<i32>(tallStrip(head.HS) >> 2) * head.strips, 0, yAt(head));
  fillRow(QUERIES, LOWEST, mostAt(head));
  fillRow(QUERIES, 0, sumAt(head));
}

/** The queries meet a block of keys. */
function attend(head: Head): void {
  const HS = head.HS, pairs = pairsAt(head), values = valuesAt(head), tall = tallStrip(HS);
  packKeysAcross(head, head.v, values);
  let across = queriesAt(head), y = yAt(head);
  for (let strip = 0; strip < head.strips; strip++, across += <usize>HS * STRIP_ROW, y += tall) {
    multiplyPairs(head, head.k, strip, across, pairs);
    const columns = head.columns(strip);
    for (let column = 0; column < columns; column += 4) {
      goOn(head, strip * STRIP + column, pairs + (<usize>column << 2));
      shrink(HS, y + (<usize>column << 2), v128.load(factorAt(head)));
    }
    multiplyRoomyStrip(HS, columns, head.keys, values, BLOCK_BYTES, pairs, y, STRIP_ROW, y, STRIP_ROW);
  }
}

/** y = factor · y for four queries */
@inline function shrink(HS: i32, y: usize, factor: v128): void {
  for (let i = 0; i < HS; i++, y += STRIP_ROW) v128.store(y, f32x4.mul(factor, v128.load(y)));
}

/** The softmax of four queries goes on by a block of keys: scores become exponentials, kept or dropped. */
function goOn(head: Head, column: i32, scores: usize): void {
  const keys = head.keys, query = head.query + column, factor = factorAt(head);
  const most = mostAt(head) + (<usize>column << 2), sum = sumAt(head) + (<usize>column << 2);
  const before = v128.load(most);
  const largest = head.hides ? largestSeen(head, query, scores, before) : largestOf(keys, scores, before);
  v128.store(most, largest);
  math.exponentials(scores, most, scores, STRIP_ROW, keys);
  if (head.hides) hide(head, query, scores);
  const total = sumOf(keys, scores);
  if (head.random) drop(head, query, scores);
  v128.store(factor, math.expNonPositive(f32x4.sub(before, largest)));
  v128.store(sum, f32x4.add(f32x4.mul(v128.load(factor), v128.load(sum)), total));
}

/** The largest score and what was the largest before; NaN is passed over. */
@inline function largestOf(keys: i32, scores: usize, before: v128): v128 {
  let largest = before;
  for (; keys > 0; keys--, scores += STRIP_ROW) largest = f32x4.pmax(largest, v128.load(scores)); // a < b ? b : a
  return largest;
}
@inline function largestSeen(head: Head, query: i32, scores: usize, before: v128): v128 {
  let largest = before;
  for (let j = 0; j < head.keys; j++, scores += STRIP_ROW) {
    largest = f32x4.pmax(largest, v128.bitselect(v128.load(scores), splat(LOWEST), seen(head, query, j)));
  }
  return largest;
}

@inline function sumOf(keys: i32, at: usize): v128 {
  let total = splat(0);
  for (; keys > 0; keys--, at += STRIP_ROW) total = f32x4.add(total, v128.load(at));
  return total;
}

/** 0 where a key is not seen by four queries. */
function hide(head: Head, query: i32, pairs: usize): void {
  for (let j = 0; j < head.keys; j++, pairs += STRIP_ROW) v128.store(pairs, v128.and(v128.load(pairs), seen(head, query, j)));
}

/** Times keepScale or 0. */
function drop(head: Head, query: i32, pairs: usize): void {
  const words = laneScratch();
  for (let j = 0; j < head.keys; j++, pairs += STRIP_ROW) {
    if ((j & 3) == 0) draw(head, query, j, words);
    v128.store(pairs, f32x4.mul(v128.load(pairs), keepOf(head, words, j)));
  }
}

/** All keys are met: y = y / Σ, and logSumExp, which takes the place of the maxima. */
function finish(head: Head, r: Attention): void {
  let most = mostAt(head), sum = sumAt(head);
  const inverses = sum;
  let to = r.logSumExp + (<usize>head.number * head.T + <usize>head.query << 2);
  for (let left = head.queries; left > 0; left -= 4, most += 16, sum += 16, to += 16) {
    const s = v128.load(sum), isEmpty = f32x4.le(s, splat(0));
    const logSumExp = v128.bitselect(splat(Infinity), f32x4.add(v128.load(most), math.log(s)), isEmpty);
    v128.store(most, logSumExp);
    storeLanes(to, logSumExp, left);
    v128.store(sum, v128.andnot(f32x4.div(splat(1), s), isEmpty));
  }
  unpackAcross(head, yAt(head), inverses, r.y + head.inOutput + <usize>head.query * head.width, head.width);
}

/** Scores and probabilities, computed once more for whoever wants to see them. */
function inspect(head: Head, r: Attention): void {
  const pairs = pairsAt(head);
  for (let key = 0; key < head.T; key += BLOCK) {
    meetAll(head, key);
    for (let strip = 0; strip < head.strips; strip++) {
      multiplyPairs(head, head.k, strip, queriesAt(head) + <usize>strip * head.HS * STRIP_ROW, pairs);
      if (r.scores) writePairs(head, strip, pairs, r.scores);
      if (!r.probabilities) continue;
      for (let column = 0; column < head.columns(strip); column += 4) {
        const first = strip * STRIP + column, at = pairs + (<usize>column << 2);
        math.exponentials(at, mostAt(head) + (<usize>first << 2), at, STRIP_ROW, head.keys);
        hide(head, head.query + first, at);
      }
      writePairs(head, strip, pairs, r.probabilities);
    }
  }
}

// Backward

/** The parts of a lane's memory: the queries and the gradients of their y, across and along, … */
@inline function stripsOf(HS: i32): usize { return <usize>6 * HS * STRIP_ROW; }
@inline function stripsAlong(HS: i32): usize { return <usize>padded(HS, STRIP) * BLOCK_BYTES; }
@inline function upstreamAcrossAt(head: Head): usize { return head.memory + stripsOf(head.HS); }
@inline function queriesAlongAt(head: Head): usize { return upstreamAcrossAt(head) + stripsOf(head.HS); }
@inline function upstreamAlongAt(head: Head): usize { return queriesAlongAt(head) + stripsAlong(head.HS); }
/** … dq as strips of tall columns, the block's keys across, … */
@inline function dqAt(head: Head): usize { return upstreamAlongAt(head) + stripsAlong(head.HS); }
@inline function keysAt(head: Head): usize { return dqAt(head) + 6 * tallStrip(head.HS); }
/** … scores and dp of a strip, which become dp and ds; what dropout leaves of the probabilities, and ds, of a block [keys][64]; … */
@inline function scoresAt(head: Head): usize { return keysAt(head) + <usize>head.HS * BLOCK_BYTES; }
@inline function gradientsAt(head: Head): usize { return scoresAt(head) + STRIP_BYTES; }
@inline function keptAt(head: Head): usize { return gradientsAt(head) + STRIP_BYTES; }
@inline function dScoresAt(head: Head): usize { return keptAt(head) + SQUARE_BYTES; }
/** … and for each query logSumExp, D, and scale. */
@inline function logSumExpAt(head: Head): usize { return dScoresAt(head) + SQUARE_BYTES; }
@inline function DAt(head: Head): usize { return logSumExpAt(head) + BLOCK_BYTES; }
@inline function scaleAt(head: Head): usize { return DAt(head) + BLOCK_BYTES; }
@inline function backwardBytes(HS: i32): usize { return <usize>64 * (7 * HS + 256) * 4; }

/** Positions of a head that one ticket has the gradients of, where there are fewer heads than lanes. */
const GROUP: i32 = 2 * BLOCK;

/**
 * qkv, dqkv [B, T, 3·NH·HS], y, dy [B, T, NH·HS], logSumExp [B, NH, T]. A head at a time; where there are more lanes than heads, dq by
 * groups of queries, dk and dv by groups of keys, at the price of two products more for the five.
 */
export function attentionBackward(r: AttentionBackward, workspace: usize): void {
  const T = r.T, heads = r.B * r.NH, groups = ceilDiv(T, GROUP), multiplications = 5 * <f64>T * T * r.HS * heads;
  if (7 * heads < 5 * lanes() && groups > 1) share(r, workspace, heads * groups * 2, multiplications, groupTicket);
  else share(r, workspace, heads, multiplications, headTicket);
}

function headTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<AttentionBackward>(record);
  goBack(r, workspace, ticket, 0, r.T, 0, r.T, true, true);
}

function groupTicket(record: usize, workspace: usize, ticket: i32): void {
  const r = changetype<AttentionBackward>(record), T = r.T, groups = ceilDiv(T, GROUP), number = (ticket >> 1) / groups;
  const first = (ticket >> 1) % groups * GROUP, end = min(T, first + GROUP);
  if (ticket & 1) goBack(r, workspace, number, 0, T, first, end, true, false);
  else goBack(r, workspace, number, first, end, 0, T, false, true);
}

/** Some queries of a head meet some keys, for the gradients of those or these. */
function goBack(
  r: AttentionBackward, workspace: usize, number: i32, firstQuery: i32, endQuery: i32, firstKey: i32, endKey: i32, forKeys: bool,
  forQueries: bool,
): void {
  const head = headAt(r, number, ownMemory(workspace, backwardBytes(r.HS)));
  const dq = r.dqkv + (head.q - r.qkv), dk = dq + head.width;
  if (forKeys) for (let key = firstKey; key < endKey; key++) clearKey(head, key, dk);
  for (let query = firstQuery; query < endQuery; query += BLOCK) {
    head.query = query;
    head.queries = min(BLOCK, head.T - query);
    beginBackward(head, r);
    for (let key = firstKey; key < endKey; key += BLOCK) {
      if (meet(head, key)) attendBackward(head, dk, forKeys, forQueries);
    }
    if (!forQueries) continue;
    unpackAcross(head, dqAt(head), scaleAt(head), dq + <usize>query * head.step, head.step);
    if (r.dProbabilities || r.dScores) inspectBackward(head, r);
  }
  // What they had no part in may have been NaN.
  if (forKeys) for (let key = firstKey; key < endKey; key++) if (head.isMasked(key)) clearKey(head, key, dk);
}

/** dk and dv of a key = 0 */
function clearKey(head: Head, key: i32, dk: usize): void {
  const at = dk + <usize>key * head.step;
  fillRow(head.HS, 0, at);
  fillRow(head.HS, 0, at + head.width);
}

/** A block of queries with what is known of them before they meet keys. */
function beginBackward(head: Head, r: AttentionBackward): void {
  const queries = head.queries, HS = head.HS, output = head.inOutput + <usize>head.query * head.width;
  const q = head.q + <usize>head.query * head.step;
  packAcross(head, q, head.step, head.scale, head.memory);
  packAlong(head, q, head.step, head.scale, queriesAlongAt(head));
  packAcross(head, r.dy + output, head.width, 1, upstreamAcrossAt(head));
  packAlong(head, r.dy + output, head.width, 1, upstreamAlongAt(head));
  fillRow(<i32>(tallStrip(HS) >> 2) * head.strips, 0, dqAt(head));
  fillRow(BLOCK, head.scale, scaleAt(head));
  const saved = r.logSumExp + (<usize>head.number * head.T + <usize>head.query << 2);
  for (let i = 0; i < BLOCK; i++) {
    const at = <usize>i << 2, row = output + <usize>i * head.width;
    store<f32>(logSumExpAt(head) + at, i < queries ? load<f32>(saved + at) : 0);
    store<f32>(DAt(head) + at, i < queries ? product(HS, r.dy + row, r.y + row) : 0);
  }
}

/** Σ x · y on sixteen lanes. */
function product(n: i32, x: usize, y: usize): f32 {
  let sum0 = splat(0), sum4 = splat(0), sum8 = splat(0), sum12 = splat(0);
  for (let left = n; left > 0; left -= 16, x += 64, y += 64) {
    sum0 = fma(loadLanes(x, left), loadLanes(y, left), sum0);
    sum4 = fma(loadLanes(x + 16, left - 4), loadLanes(y + 16, left - 4), sum4);
    sum8 = fma(loadLanes(x + 32, left - 8), loadLanes(y + 32, left - 8), sum8);
    sum12 = fma(loadLanes(x + 48, left - 12), loadLanes(y + 48, left - 12), sum12);
  }
  return sumOf16(sum0, sum4, sum8, sum12);
}

/** A block of queries meets a block of keys: adds to dq of these, to dk and dv of those. */
function attendBackward(head: Head, dk: usize, forKeys: bool, forQueries: bool): void {
  const HS = head.HS, keys = head.keys, queries = head.queries, ds = gradientsAt(head);
  if (forQueries) packKeysAcross(head, head.k, keysAt(head));
  let dq = dqAt(head);
  for (let strip = 0; strip < head.strips; strip++, dq += tallStrip(HS)) {
    pairGradients(head, strip, false);
    if (forQueries) multiplyRoomyStrip(HS, head.columns(strip), keys, keysAt(head), BLOCK_BYTES, ds, dq, STRIP_ROW, dq, STRIP_ROW);
  }
  if (!forKeys) return;
  const rows = dk + <usize>head.key * head.step, kept = keptAt(head), dScores = dScoresAt(head);
  for (let i = 0; i < HS; i += STRIP) {
    const columns = min(STRIP, HS - i), strip = <usize>(i / STRIP) * queries * STRIP_ROW;
    const ofKeys = rows + (<usize>i << 2), ofValues = ofKeys + head.width;
    multiplyStrip(keys, columns, queries, kept, BLOCK_BYTES, upstreamAlongAt(head) + strip, ofValues, head.step, ofValues, head.step);
    multiplyStrip(keys, columns, queries, dScores, BLOCK_BYTES, queriesAlongAt(head) + strip, ofKeys, head.step, ofKeys, head.step);
  }
}

/** ds of a strip, and in rows of the block what dropout leaves of its probabilities and ds. Who inspects gets dp in place of the scores. */
function pairGradients(head: Head, strip: i32, inspects: bool): void {
  const across = <usize>strip * head.HS * STRIP_ROW;
  multiplyPairs(head, head.k, strip, head.memory + across, scoresAt(head));
  multiplyPairs(head, head.v, strip, upstreamAcrossAt(head) + across, gradientsAt(head));
  for (let column = 0; column < head.columns(strip); column += 4) scoreGradients(head, strip, column, inspects);
}

/** Four queries: from scores and dr to p kept or dropped, and ds. */
function scoreGradients(head: Head, strip: i32, column: i32, inspects: bool): void {
  const first = strip * STRIP + column, query = head.query + first, inBlock = <usize>first << 2;
  const scores = scoresAt(head) + (<usize>column << 2), gradients = gradientsAt(head) + (<usize>column << 2);
  const kept = keptAt(head) + inBlock, dScores = dScoresAt(head) + inBlock;
  const logSumExp = logSumExpAt(head) + inBlock, D = v128.load(DAt(head) + inBlock);
  math.exponentials(scores, logSumExp, scores, STRIP_ROW, head.keys);
  if (head.hides) hide(head, query, scores);
  if (head.random) dropGradients(head, query, scores, gradients, kept);
  else spread(head.keys, scores, kept);
  let p = scores, gradient = gradients, dScore = dScores;
  for (let j = head.keys; j > 0; j--, p += STRIP_ROW, gradient += STRIP_ROW, dScore += BLOCK_BYTES) {
    const dp = v128.load(gradient), ds = f32x4.mul(v128.load(p), f32x4.sub(dp, D));
    if (inspects) v128.store(p, dp);
    v128.store(gradient, ds);
    v128.store(dScore, ds);
  }
  if (head.hides) hideGradients(head, query, gradients, dScores);
  if (inspects) clearBlind(head.keys, v128.load(logSumExp), scores);
}

/** p from its strip to the rows of the block. */
@inline function spread(keys: i32, p: usize, kept: usize): void {
  for (; keys > 0; keys--, p += STRIP_ROW, kept += BLOCK_BYTES) v128.store(kept, v128.load(p));
}

/** The same, and dp, times keepScale or 0. */
function dropGradients(head: Head, query: i32, p: usize, gradient: usize, kept: usize): void {
  const words = laneScratch();
  for (let j = 0; j < head.keys; j++, p += STRIP_ROW, gradient += STRIP_ROW, kept += BLOCK_BYTES) {
    if ((j & 3) == 0) draw(head, query, j, words);
    const keep = keepOf(head, words, j);
    v128.store(kept, f32x4.mul(v128.load(p), keep));
    v128.store(gradient, f32x4.mul(v128.load(gradient), keep));
  }
}

/** A key that is not seen has p = 0, but dp may be NaN. */
function hideGradients(head: Head, query: i32, gradient: usize, dScore: usize): void {
  hide(head, query, gradient);
  spread(head.keys, gradient, dScore);
}

/** dp = 0 for queries that see no key. */
function clearBlind(keys: i32, logSumExp: v128, dp: usize): void {
  const isBlind = f32x4.ge(logSumExp, splat(Infinity));
  for (; keys > 0; keys--, dp += STRIP_ROW) v128.store(dp, v128.andnot(v128.load(dp), isBlind));
}

/** The gradients of probabilities and scores, for whoever wants to see them. */
function inspectBackward(head: Head, r: AttentionBackward): void {
  for (let key = 0; key < head.T; key += BLOCK) {
    meetAll(head, key);
    for (let strip = 0; strip < head.strips; strip++) {
      pairGradients(head, strip, true);
      if (r.dProbabilities) writePairs(head, strip, scoresAt(head), r.dProbabilities);
      if (r.dScores) writePairs(head, strip, gradientsAt(head), r.dScores);
    }
  }
}
