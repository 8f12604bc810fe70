/**
 * Functions of each element. A loop counts the elements `left` of its ticket; the last vector may be partial. Where more than a few
 * operations go into an element the loop is one of whole vectors: V8 copies what it computes into each way of storing it.
 */
import {
  Add, Div, Gelu, GeluBackward, GeluTanh, GeluTanhBackward, Mul, Relu, ReluBackward, Scale, ScaleBy, Sigmoid, SigmoidBackward, Sqrt, Tanh, TanhBackward,
} from '../generated/instructions';
import { fma, loadLanes, splat, storeLanes } from '../simd/lanes';
import * as math from '../simd/math';
import { laneScratch, parallel, Work } from '../team';
import { ceilDiv, COMPUTED, STREAMED } from '../tickets';

/** Shares the n elements of a record out, `each` to a ticket. */
@inline function share<Record>(r: Record, each: i32, work: Work): void {
  parallel(ceilDiv(r.n, each), work, changetype<usize>(r));
}

/** Elements of a ticket, the last one of which may have fewer. */
@inline function leftOf(n: i32, each: i32, ticket: i32): i32 { return min(each, n - ticket * each); }
@inline function bytesBefore(each: i32, ticket: i32): usize { return <usize>(ticket * each) << 2; }

/** The last few elements as a whole vector, in the scratch of the lane. */
@inline function wholeOf(x: usize, n: i32): usize {
  const whole = laneScratch();
  v128.store(whole, loadLanes(x, n));
  return whole;
}

export function add(r: Add): void { share(r, STREAMED, addTicket); }

function addTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Add>(record), from = bytesBefore(STREAMED, ticket);
  let a = r.a + from, b = r.b + from, y = r.y + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, a += 16, b += 16, y += 16) {
    storeLanes(y, f32x4.add(loadLanes(a, left), loadLanes(b, left)), left);
  }
}

export function mul(r: Mul): void { share(r, STREAMED, mulTicket); }

function mulTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Mul>(record), from = bytesBefore(STREAMED, ticket);
  let a = r.a + from, b = r.b + from, y = r.y + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, a += 16, b += 16, y += 16) {
    storeLanes(y, f32x4.mul(loadLanes(a, left), loadLanes(b, left)), left);
  }
}

export function div(r: Div): void { share(r, STREAMED, divTicket); }

function divTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Div>(record), from = bytesBefore(STREAMED, ticket);
  let a = r.a + from, b = r.b + from, y = r.y + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, a += 16, b += 16, y += 16) {
    storeLanes(y, f32x4.div(loadLanes(a, left), loadLanes(b, left)), left);
  }
}

export function sqrt(r: Sqrt): void { share(r, STREAMED, sqrtTicket); }

function sqrtTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Sqrt>(record), from = bytesBefore(STREAMED, ticket);
  let x = r.x + from, y = r.y + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, x += 16, y += 16) {
    storeLanes(y, f32x4.sqrt(loadLanes(x, left)), left);
  }
}

function scaled(n: i32, x: usize, y: usize, factor: v128): void {
  for (let left = n; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, f32x4.mul(factor, loadLanes(x, left)), left);
}

export function scale(r: Scale): void { share(r, STREAMED, scaleTicket); }

function scaleTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Scale>(record), from = bytesBefore(STREAMED, ticket);
  scaled(leftOf(r.n, STREAMED, ticket), r.x + from, r.y + from, splat(r.factor));
}

export function scaleBy(r: ScaleBy): void { share(r, STREAMED, scaleByTicket); }

function scaleByTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<ScaleBy>(record), from = bytesBefore(STREAMED, ticket);
  scaled(leftOf(r.n, STREAMED, ticket), r.x + from, r.y + from, v128.load32_splat(r.factor));
}

export function sigmoid(r: Sigmoid): void { share(r, COMPUTED, sigmoidTicket); }

function sigmoidTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Sigmoid>(record), from = bytesBefore(COMPUTED, ticket);
  sigmoidRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.y + from);
}

function sigmoidRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, math.sigmoid(v128.load(x)));
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  sigmoidRow(4, whole, whole);
  storeLanes(y, v128.load(whole), n);
}

export function sigmoidBackward(r: SigmoidBackward): void { share(r, STREAMED, sigmoidBackwardTicket); }

function sigmoidBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<SigmoidBackward>(record), from = bytesBefore(STREAMED, ticket);
  let y = r.y + from, dy = r.dy + from, dx = r.dx + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    const value = loadLanes(y, left);
    const slope = fma(f32x4.neg(value), value, value);
    storeLanes(dx, f32x4.mul(loadLanes(dy, left), slope), left);
  }
}

export function tanh(r: Tanh): void { share(r, COMPUTED, tanhTicket); }

function tanhTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Tanh>(record), from = bytesBefore(COMPUTED, ticket);
  tanhRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.y + from);
}

function tanhRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, math.tanh(v128.load(x)));
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  tanhRow(4, whole, whole);
  storeLanes(y, v128.load(whole), n);
}

export function tanhBackward(r: TanhBackward): void { share(r, STREAMED, tanhBackwardTicket); }

function tanhBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<TanhBackward>(record), from = bytesBefore(STREAMED, ticket);
  let y = r.y + from, dy = r.dy + from, dx = r.dx + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    const value = loadLanes(y, left);
    const slope = fma(f32x4.neg(value), value, splat(1));
    storeLanes(dx, f32x4.mul(loadLanes(dy, left), slope), left);
  }
}

export function relu(r: Relu): void { share(r, STREAMED, reluTicket); }

function reluTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Relu>(record), from = bytesBefore(STREAMED, ticket);
  reluRow(leftOf(r.n, STREAMED, ticket), r.x + from, r.y + from);
}

/** Clears the lanes that are ≤ 0, to +0; NaN is not ≤ 0 and stays. */
export function reluRow(n: i32, x: usize, y: usize): void {
  for (let left = n; left > 0; left -= 4, x += 16, y += 16) {
    const value = loadLanes(x, left);
    storeLanes(y, v128.andnot(value, f32x4.le(value, splat(0))), left);
  }
}

export function reluBackward(r: ReluBackward): void { share(r, STREAMED, reluBackwardTicket); }

function reluBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<ReluBackward>(record), from = bytesBefore(STREAMED, ticket);
  let y = r.y + from, dy = r.dy + from, dx = r.dx + from;
  for (let left = leftOf(r.n, STREAMED, ticket); left > 0; left -= 4, y += 16, dy += 16, dx += 16) {
    storeLanes(dx, v128.and(loadLanes(dy, left), f32x4.gt(loadLanes(y, left), splat(0))), left);
  }
}

export function gelu(r: Gelu): void { share(r, COMPUTED, geluTicket); }

function geluTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Gelu>(record), from = bytesBefore(COMPUTED, ticket);
  geluRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.y + from);
}

export function geluRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, math.gelu(v128.load(x)));
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  geluRow(4, whole, whole);
  storeLanes(y, v128.load(whole), n);
}

export function geluBackward(r: GeluBackward): void { share(r, COMPUTED, geluBackwardTicket); }

function geluBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<GeluBackward>(record), from = bytesBefore(COMPUTED, ticket);
  geluBackwardRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.dy + from, r.dx + from);
}

function geluBackwardRow(n: i32, x: usize, dy: usize, dx: usize): void {
  for (; n >= 4; n -= 4, x += 16, dy += 16, dx += 16) {
    v128.store(dx, f32x4.mul(v128.load(dy), math.geluSlope(v128.load(x))));
  }
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  v128.store(whole, loadLanes(dy, n), 16);
  geluBackwardRow(4, whole, whole + 16, whole);
  storeLanes(dx, v128.load(whole), n);
}

export function geluTanh(r: GeluTanh): void { share(r, COMPUTED, geluTanhTicket); }

function geluTanhTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<GeluTanh>(record), from = bytesBefore(COMPUTED, ticket);
  geluTanhRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.y + from);
}

export function geluTanhRow(n: i32, x: usize, y: usize): void {
  for (; n >= 4; n -= 4, x += 16, y += 16) v128.store(y, math.geluTanh(v128.load(x)));
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  geluTanhRow(4, whole, whole);
  storeLanes(y, v128.load(whole), n);
}

export function geluTanhBackward(r: GeluTanhBackward): void { share(r, COMPUTED, geluTanhBackwardTicket); }

function geluTanhBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<GeluTanhBackward>(record), from = bytesBefore(COMPUTED, ticket);
  geluTanhBackwardRow(leftOf(r.n, COMPUTED, ticket), r.x + from, r.dy + from, r.dx + from);
}

function geluTanhBackwardRow(n: i32, x: usize, dy: usize, dx: usize): void {
  for (; n >= 4; n -= 4, x += 16, dy += 16, dx += 16) {
    v128.store(dx, f32x4.mul(v128.load(dy), math.geluTanhSlope(v128.load(x))));
  }
  if (n <= 0) return;
  const whole = wholeOf(x, n);
  v128.store(whole, loadLanes(dy, n), 16);
  geluTanhBackwardRow(4, whole, whole + 16, whole);
  storeLanes(dx, v128.load(whole), n);
}
