/**
 * The lanes of an executor: the thread that runs programs is lane 0, and each helper is another instance of this module, in a
 * worker of its own over the same memory. Kernels cut their work into tickets; results never depend on who does which.
 *
 * Every lane has a range of the tickets of a round, the same from one round to the next, so that its part of the weights stays in
 * its cache; who is done with his own takes from the others'. A range is one word: how many of its tickets are left. A ticket is
 * taken by a compare-exchange of that word, and all else about a round is read only by who holds one of its tickets, without which
 * the round cannot end. So nothing has to tell rounds apart: a helper that comes late finds nothing left, or takes part in what is
 * under way by then. Lane 0 does what nobody took: a helper that sleeps or is suspended holds it up for tickets it has, no others.
 *
 * All of this lies in the first 64 KiB, which belong to this module: static data below CONTROL, the state of the team, then the
 * private scratch of the lanes. Zeros mean one lane. An instantiation writes static data again, always the same.
 */

/** Does ticket `ticket` of a piece of work; `context` and `workspace` mean what they mean to it. */
export type Work = (context: usize, workspace: usize, ticket: i32) => void;

export const MAX_LANES: i32 = 32;

const CONTROL: usize = 8192;
/** Parts that different lanes write are a cache line apart. */
const LINE: usize = 64;
/** How many lanes there are, and whether helpers are to leave. */
const LANES: usize = CONTROL;
const STOPPED: usize = CONTROL + 4;
/** Changes with each round; helpers sleep here. */
const ROUND: usize = CONTROL + LINE;
const SLEEPERS: usize = CONTROL + LINE * 2;
/** Tickets of the round that are not done; lane 0 sleeps here, and says so. */
const PENDING: usize = CONTROL + LINE * 3;
const CALLER_SLEEPS: usize = CONTROL + LINE * 4;
/** What the tickets are of. */
const WORK: usize = CONTROL + LINE * 5;
const CONTEXT: usize = WORK + 4;
const WORKSPACE: usize = WORK + 8;
/** Brief rounds that lane 0 is to do alone from now on, and how many it was the last time; only lane 0 looks at them. */
const ALONE: usize = WORK + 12;
const CAUTION: usize = WORK + 16;
/** For each lane: tickets left, and the number behind its last ticket. */
const RANGES: usize = CONTROL + LINE * 6;

const SCRATCH: usize = 16384;
const SCRATCH_BYTES: usize = 1536;

/** How often a lane looks again before it sleeps: some tens of microseconds. */
const SPINS: i32 = 20_000;

/** Least and most rounds that lane 0 does alone after a helper did not run. */
const LEAST_ALONE: i32 = 64;
const MOST_ALONE: i32 = 4096;
/** Rounds that go well for each that caution is reduced by; a power of two. */
const ROUNDS_OF_TRUST: i32 = 16;

let lane: i32 = 0;

/** 1536 bytes that no other lane touches, meaning nothing from one ticket to the next. */
@inline export function laneScratch(): usize { return SCRATCH + <usize>lane * SCRATCH_BYTES; }

/** Which lane this is, 0 … MAX_LANES − 1. */
@inline export function ownLane(): i32 { return lane; }

/** How many lanes share the work. */
@inline export function lanes(): i32 { return ASC_FEATURE_THREADS ? max(load<i32>(LANES), 1) : 1; }

/** 1 in the builds for shared memory. */
export function shared(): i32 { return ASC_FEATURE_THREADS ? 1 : 0; }

/** How many lanes there may be. */
export function laneCount(): i32 { return ASC_FEATURE_THREADS ? MAX_LANES : 1; }

/** Says how many lanes there are from now on. Called by lane 0 while nothing runs; helpers may start before or after, or not at all. */
export function setLanes(count: i32): void {
  if (<u32>(count - 1) >= <u32>laneCount()) unreachable();
  if (!ASC_FEATURE_THREADS) return;
  atomic.store<i32>(LANES, count);
  atomic.store<i32>(STOPPED, 0);
}

/** Does tickets 0 … `tickets` − 1 in that order, here. */
@inline export function inTurn(tickets: i32, work: Work, context: usize, workspace: usize = 0): void {
  for (let ticket = 0; ticket < tickets; ticket++) work(context, workspace, ticket);
}

/**
 * Does tickets 0 … `tickets` − 1, in any order and on all lanes, and returns when all are done. `isBrief` says that each takes some
 * ten microseconds: then a helper that was suspended with one costs more than it saves, and lane 0 stays alone for a while.
 */
export function parallel(tickets: i32, work: Work, context: usize, workspace: usize = 0, isBrief: bool = true): void {
  if (ASC_FEATURE_THREADS) {
    if (tickets > 1 && load<i32>(LANES) > 1 && !(isBrief && staysAlone())) {
      const wasPrompt = fork(tickets, work.index, context, workspace);
      if (isBrief) learn(wasPrompt);
      return;
    }
  }
  inTurn(tickets, work, context, workspace);
}

/** Whether this is one of the rounds that lane 0 does alone; counts them. */
@inline function staysAlone(): bool {
  const left = load<i32>(ALONE);
  if (left == 0) return false;
  store<i32>(ALONE, left - 1);
  return true;
}

/** Twice as long alone each time that a helper did not run, and slowly less while helpers do. */
function learn(wasPrompt: bool): void {
  const caution = load<i32>(CAUTION);
  if (!wasPrompt) {
    const rounds = min(caution * 2 + LEAST_ALONE, MOST_ALONE);
    store<i32>(CAUTION, rounds);
    store<i32>(ALONE, rounds);
  } else if (caution > 0 && (load<i32>(ROUND) & (ROUNDS_OF_TRUST - 1)) == 0) {
    store<i32>(CAUTION, caution - 1);
  }
}

@inline function rangeOf(its: i32): usize { return RANGES + <usize>its * LINE; }

/** One round, and whether it ended without sleep. Plain stores are published by the atomic store of the ranges. */
function fork(tickets: i32, work: i32, context: usize, workspace: usize): bool {
  store<i32>(WORK, work);
  store<usize>(CONTEXT, context);
  store<usize>(WORKSPACE, workspace);
  store<i32>(PENDING, tickets);
  const count = load<i32>(LANES), each = tickets / count, more = tickets % count;
  for (let its = 0, end = 0; its < count; its++) {
    const size = each + i32(its < more);
    end += size;
    store<i32>(rangeOf(its) + 4, end);
    atomic.store<i32>(rangeOf(its), size);
  }
  atomic.store<i32>(ROUND, load<i32>(ROUND) + 1);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(ROUND, tickets - 1);
  const done = takePart();
  return atomic.sub<i32>(PENDING, done) == done || awaitTaken();
}

/** Until the helpers are done with what they took: false if lane 0 slept, so that one of them might have its core. */
function awaitTaken(): bool {
  for (let spins = 0; spins < SPINS; spins++) {
    if (atomic.load<i32>(PENDING) == 0) return true;
  }
  atomic.store<i32>(CALLER_SLEEPS, 1);
  let pending = atomic.load<i32>(PENDING);
  while (pending != 0) {
    atomic.wait<i32>(PENDING, pending, -1);
    pending = atomic.load<i32>(PENDING);
  }
  atomic.store<i32>(CALLER_SLEEPS, 0);
  return false;
}

/** Does what is left of all ranges, its own first; how many tickets that were. */
function takePart(): i32 {
  const count = atomic.load<i32>(LANES);
  let done = 0;
  for (let i = 0; i < count; i++) {
    const range = rangeOf((lane + i) % count);
    let left = take(range);
    for (; left != 0; left = take(range), done++) {
      call_indirect<void>(load<i32>(WORK), load<usize>(CONTEXT), load<usize>(WORKSPACE), load<i32>(range, 4) - left);
    }
  }
  return done;
}

/** How many tickets the range had before one was taken; 0 if there was none. */
@inline function take(range: usize): i32 {
  let left = atomic.load<i32>(range);
  while (left != 0) {
    const found = atomic.cmpxchg<i32>(range, left, left - 1);
    if (found == left) break;
    left = found;
  }
  return left;
}

/** The whole life of helper `its`, 1 … MAX_LANES − 1: takes part in round after round and returns after {@link stop}. */
export function help(its: i32): void {
  if (!ASC_FEATURE_THREADS) return;
  if (<u32>(its - 1) >= <u32>(MAX_LANES - 1)) unreachable();
  lane = its;
  while (true) {
    const round = atomic.load<i32>(ROUND);
    if (atomic.load<i32>(STOPPED)) return;
    const done = takePart();
    if (done > 0 && atomic.sub<i32>(PENDING, done) == done && atomic.load<i32>(CALLER_SLEEPS)) atomic.notify(PENDING, 1);
    awaitRound(round);
  }
}

/** Until another round than this has begun. A round missed is one that was done without this lane. */
function awaitRound(round: i32): void {
  for (let spins = 0; spins < SPINS; spins++) {
    if (atomic.load<i32>(ROUND) != round) return;
  }
  atomic.add<i32>(SLEEPERS, 1);
  atomic.wait<i32>(ROUND, round, -1);
  atomic.sub<i32>(SLEEPERS, 1);
}

/** Sends helpers away, those that are still to come as well, until {@link setLanes} is called again. Programs run all the same. */
export function stop(): void {
  if (!ASC_FEATURE_THREADS) return;
  atomic.store<i32>(STOPPED, 1);
  atomic.store<i32>(ROUND, load<i32>(ROUND) + 1);
  atomic.notify(ROUND, -1);
}

function nothing(_context: usize, _workspace: usize, _ticket: i32): void {}

/** As many rounds of a ticket for each lane that does nothing, to measure what a round costs. */
export function barrier(rounds: i32): void {
  for (let round = 0; round < rounds; round++) parallel(lanes(), nothing, 0);
}
