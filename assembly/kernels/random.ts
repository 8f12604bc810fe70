/** Random numbers from Philox: element e takes word e mod 4 of block e / 4, so every element can be had on its own. */
import { Dropout, PhiloxNormal, PhiloxUniform } from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { transpose4 } from '../simd/pack';
import { philox, TWO_TO_MINUS_24, uniform, upper24 } from '../simd/philox';
import { laneScratch, parallel, Work } from '../team';
import { ceilDiv, COMPUTED } from '../tickets';

/** Blocks of a ticket, four elements each. */
const BLOCKS: i32 = COMPUTED / 4;
/** Blocks that are drawn at once, and bytes of their words. */
const AT_ONCE: i32 = 4;
const WORDS: usize = 64;

/** The words of four blocks from `block` on, in the order of the elements that take them. */
function draw(random: usize, stream: i32, block: i32, to: usize): void {
  philox(block, 1, random, stream, to);
  transpose4(to, 16, v128.load(to), v128.load(to, 16), v128.load(to, 32), v128.load(to, 48));
}

@inline function share<Record>(r: Record, work: Work): void { parallel(ceilDiv(r.n, COMPUTED), work, changetype<usize>(r)); }
@inline function leftOf(n: i32, ticket: i32): i32 { return min(COMPUTED, n - ticket * COMPUTED); }
@inline function bytesBefore(ticket: i32): usize { return <usize>(ticket * COMPUTED) << 2; }

export function dropout(r: Dropout): void { share(r, dropoutTicket); }

function dropoutTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Dropout>(record), words = laneScratch();
  const random = r.random, stream = r.stream;
  const rate = splat(r.rate), keepScale = splat(r.keepScale);
  let x = r.x + bytesBefore(ticket), y = r.y + bytesBefore(ticket), block = ticket * BLOCKS;
  for (let left = leftOf(r.n, ticket); left > 0; block += AT_ONCE) {
    draw(random, stream, block, words);
    for (let at = words; at < words + WORDS && left > 0; at += 16, left -= 4, x += 16, y += 16) {
      const keep = f32x4.ge(uniform(v128.load(at)), rate);
      storeLanes(y, v128.and(f32x4.mul(loadLanes(x, left), keepScale), keep), left);
    }
  }
}

export function philoxUniform(r: PhiloxUniform): void { share(r, philoxUniformTicket); }

function philoxUniformTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<PhiloxUniform>(record), words = laneScratch();
  const random = r.random, stream = r.stream;
  const low = splat(r.low), range = splat(r.range);
  let y = r.y + bytesBefore(ticket), block = ticket * BLOCKS;
  for (let left = leftOf(r.n, ticket); left > 0; block += AT_ONCE) {
    draw(random, stream, block, words);
    for (let at = words; at < words + WORDS && left > 0; at += 16, left -= 4, y += 16) {
      storeLanes(y, fma(uniform(v128.load(at)), range, low), left);
    }
  }
}

export function philoxNormal(r: PhiloxNormal): void { share(r, philoxNormalTicket); }

/** Box–Muller: words (p, q) give r·cos in the even and r·sin in the odd lane, r = sqrt(−2 ln p), p in (0, 1]. */
function philoxNormalTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<PhiloxNormal>(record), drawn = laneScratch();
  const random = r.random, stream = r.stream;
  const mean = splat(r.mean), deviation = splat(r.deviation);
  let y = r.y + bytesBefore(ticket), block = ticket * BLOCKS;
  for (let left = leftOf(r.n, ticket); left > 0; block += AT_ONCE) {
    draw(random, stream, block, drawn);
    for (let at = drawn; at < drawn + WORDS && left > 0; at += 16, left -= 4, y += 16) {
      const words = v128.load(at);
      const first = upper24(v128.shuffle<i32>(words, words, 0, 0, 2, 2));
      const p = f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(first, i32x4.splat(1))), splat(TWO_TO_MINUS_24));
      const q = uniform(v128.shuffle<i32>(words, words, 1, 1, 3, 3));
      const radius = f32x4.sqrt(f32x4.mul(splat(-2), math.log(p)));
      const direction = v128.shuffle<f32>(math.cosine2Pi(q), math.sine2Pi(q), 0, 5, 2, 7);
      storeLanes(y, fma(f32x4.mul(radius, direction), deviation, mean), left);
    }
  }
}
