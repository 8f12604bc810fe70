/**
 * How work is cut into tickets. A ticket should take ten microseconds or so: many times what a round costs, and short enough that
 * lanes end at nearly the same time. What is smaller than a ticket is never shared.
 */

/** Elements of a ticket that are little more than read and written. */
export const STREAMED: i32 = 16384;
/** Elements of a ticket that take nanoseconds each: exp, square roots, random numbers. */
export const COMPUTED: i32 = 4096;

/** Quotient, rounded up. */
@inline export function ceilDiv(n: i32, size: i32): i32 { return n / size + i32(n % size > 0); }

/** Rows of `width` elements that make up `elements`; at least one. */
@inline export function rowsOf(elements: i32, width: i32): i32 { return max(elements / max(width, 1), 1); }
