/** The WASM executor: checks and runs programs over the memory it is given. Words, data and workspace are addresses in it. */
import { dispatch } from './generated/dispatch';
import { checkRecord, Fault, FINGERPRINT, HEADER_WORDS, recordWords, workspaceElements } from './generated/instructions';
import { lanes } from './team';

export { readMemory, triad } from './bandwidth';
export { multiplyAdds, ROUND_FLOPS } from './peak';
export { barrier, help, laneCount, setLanes, shared, stop } from './team';

/** Of the instruction list this module was built from. */
export function contract(): i32 { return FINGERPRINT; }

/** 1 in the build that may fuse multiply and add. */
export function relaxed(): i32 { return ASC_FEATURE_RELAXED_SIMD ? 1 : 0; }

let record: i32 = 0;

/** The record of the fault that the last `check` found. */
export function faultRecord(): i32 { return record; }

/** The first fault of a program of `count` words for a heap of `heapElements`: 0, or its code | item << 8. */
export function check(words: usize, count: i32, heapElements: f64): i32 {
  record = 0;
  if (count < HEADER_WORDS || load<i32>(words) != FINGERPRINT) return Fault.header;
  const records = load<i32>(words, 8);
  if (load<i32>(words, 4) != count || records < 0) return Fault.length;
  let at = HEADER_WORDS;
  for (; record < records; record++) {
    const left = count - at;
    if (left <= 0) return Fault.length;
    const here = words + (<usize>at << 2);
    const length = recordWords(load<i32>(here));
    if (length == 0) return Fault.instruction;
    if (left < length) return Fault.length;
    const fault = checkRecord(here, heapElements);
    if (fault) return fault;
    at += length;
  }
  record = records;
  return at == count ? Fault.none : Fault.length;
}

/** Elements of workspace that a checked program needs for the lanes that there are. */
export function workspace(words: usize): f64 {
  const records = load<i32>(words, 8);
  let at = words + (<usize>HEADER_WORDS << 2);
  let most: f64 = 0;
  for (let i = 0; i < records; i++) {
    most = max(most, workspaceElements(at, <f64>lanes()));
    at += load<usize>(at, 4) << 2;
  }
  return ceil(most);
}

/** Runs records `first` (inclusive) to `last` (exclusive) of a checked program. */
export function run(words: usize, first: i32, last: i32, workspace: usize): void {
  let at = words + (<usize>HEADER_WORDS << 2);
  for (let i = 0; i < last; i++) {
    if (i >= first) dispatch(at, workspace);
    at += load<usize>(at, 4) << 2;
  }
}
