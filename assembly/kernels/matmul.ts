/**
 * Matrix products. For each block of K, A and B are packed into the workspace, then tiles of 4×8 are computed. Packing takes any
 * strides, so a transpose costs nothing further; the edges of a matrix go through the same tile as its middle.
 */
import { Matmul, MatmulAdd } from '../generated/instructions';
import { splat } from '../simd/lanes';
import { packLanes } from '../simd/pack';
import { copyOrZero } from '../simd/rows';
import { edgeTile, TILE_BYTES, TILE_COLUMNS, TILE_ROWS, tile } from '../simd/tile';

/** K is cut here and nowhere else: part of the order of sums. */
const DEPTH: i32 = 256;

/** What a ticket packs. */
const PACKED_LANES: i32 = 64;
/** What a ticket computes. Its share of A (64 KiB at full depth) stays in L2, a strip of B (8 KiB) in L1. */
const TICKET_ROWS: i32 = 64;
const TICKET_COLUMNS: i32 = 256;

@inline function ceilDiv(n: i32, size: i32): i32 { return n / size + i32(n % size > 0); }

/** c = base + a·b over one block of K, at the start of the workspace. Rows and columns are strides in bytes. */
@unmanaged
class Block {
  M: i32;
  N: i32;
  depth: i32;
  a: usize;
  aRow: usize;
  aColumn: usize;
  b: usize;
  bRow: usize;
  bColumn: usize;
  /** c itself, the bias, or zeros. */
  base: usize;
  baseRow: usize;
  baseColumn: usize;
  c: usize;
  cRow: usize;
  /** [M / 4][depth][4] */
  packedA: usize;
  /** [N / 8][depth][8] */
  packedB: usize;

  /** 32 bytes of zeros and the scratch tile of {@link edgeTile}. */
  @inline get zeros(): usize { return changetype<usize>(this) + 128; }
  @inline get scratch(): usize { return changetype<usize>(this) + 160; }
  @inline get panels(): usize { return changetype<usize>(this) + 192 + TILE_BYTES; }
}

/** a [M, K], b [K, N], c [M, N] with the strides of the record, for each of `batch`. */
export function matmul(r: Matmul, workspace: usize): void {
  const K = r.K, bias = r.bias;
  for (let i = 0; i < r.batch; i++) {
    if (K == 0) fillRows(r.M, r.N, bias, r.c + (<usize>i * r.cBatch << 2), <usize>r.cRow << 2);
    for (let k = 0; k < K; k += DEPTH) {
      const block = blockAt(r, i, k, workspace);
      if (k == 0) {
        block.base = bias ? bias : block.zeros;
        block.baseRow = 0;
        block.baseColumn = bias ? 4 : 0;
      }
      compute(block);
    }
  }
}

/** As {@link matmul}, onto what c holds. */
export function matmulAdd(r: MatmulAdd, workspace: usize): void {
  const K = r.K;
  for (let i = 0; i < r.batch; i++) {
    for (let k = 0; k < K; k += DEPTH) compute(blockAt(r, i, k, workspace));
  }
}

/** An empty sum: every row of c = bias, or 0. */
function fillRows(M: i32, N: i32, bias: usize, c: usize, cRow: usize): void {
  for (let i = 0; i < M; i++, c += cRow) copyOrZero(N, bias, c);
}

/** Matrix `i` of the batch, K from `k` on, added to c. */
@inline function blockAt<Record>(r: Record, i: i32, k: i32, workspace: usize): Block {
  const block = changetype<Block>(workspace);
  block.M = r.M;
  block.N = r.N;
  block.depth = min(DEPTH, r.K - k);
  block.aRow = <usize>r.aRow << 2;
  block.aColumn = <usize>r.aColumn << 2;
  block.a = r.a + (<usize>i * r.aBatch << 2) + <usize>k * block.aColumn;
  block.bRow = <usize>r.bRow << 2;
  block.bColumn = <usize>r.bColumn << 2;
  block.b = r.b + (<usize>i * r.bBatch << 2) + <usize>k * block.bRow;
  block.c = r.c + (<usize>i * r.cBatch << 2);
  block.cRow = <usize>r.cRow << 2;
  block.base = block.c;
  block.baseRow = block.cRow;
  block.baseColumn = 4;
  block.packedA = block.panels;
  block.packedB = block.packedA + (<usize>ceilDiv(block.M, TILE_ROWS) * TILE_ROWS * block.depth << 2);
  v128.store(block.zeros, splat(0));
  v128.store(block.zeros, splat(0), 16);
  return block;
}

/** Packing and computing are two rounds of tickets; within a round they are independent. */
function compute(block: Block): void {
  const M = block.M, N = block.N;
  for (let t = 0, count = ceilDiv(M, PACKED_LANES); t < count; t++) packATicket(block, t);
  for (let t = 0, count = ceilDiv(N, PACKED_LANES); t < count; t++) packBTicket(block, t);
  const across = ceilDiv(N, TICKET_COLUMNS);
  for (let t = 0, count = ceilDiv(M, TICKET_ROWS) * across; t < count; t++) tilesTicket(block, t / across, t % across);
}

function packATicket(block: Block, ticket: i32): void {
  const depth = block.depth, row = block.aRow, column = block.aColumn;
  const end = min(block.M, (ticket + 1) * PACKED_LANES);
  for (let i = ticket * PACKED_LANES; i < end; i += TILE_ROWS) {
    packLanes(block.packedA + (<usize>i * depth << 2), 16, block.a + <usize>i * row, row, column, end - i, depth);
  }
}

function packBTicket(block: Block, ticket: i32): void {
  const depth = block.depth, row = block.bRow, column = block.bColumn;
  const end = min(block.N, (ticket + 1) * PACKED_LANES);
  for (let j = ticket * PACKED_LANES; j < end; j += TILE_COLUMNS) {
    const to = block.packedB + (<usize>j * depth << 2);
    packLanes(to, 32, block.b + <usize>j * column, column, row, end - j, depth);
    packLanes(to + 16, 32, block.b + <usize>(j + 4) * column, column, row, end - j - 4, depth);
  }
}

function tilesTicket(block: Block, rowsAt: i32, columnsAt: i32): void {
  const depth = block.depth;
  const firstRow = rowsAt * TICKET_ROWS, endRow = min(block.M, firstRow + TICKET_ROWS);
  const firstColumn = columnsAt * TICKET_COLUMNS, endColumn = min(block.N, firstColumn + TICKET_COLUMNS);
  const baseRow = block.baseRow, cRow = block.cRow;
  const tileBytes = <usize>depth * TILE_ROWS << 2;
  for (let j = firstColumn; j < endColumn; j += TILE_COLUMNS) {
    const b = block.packedB + (<usize>j * depth << 2);
    let a = block.packedA + (<usize>firstRow * depth << 2);
    let base = block.base + <usize>firstRow * baseRow + <usize>j * block.baseColumn;
    let c = block.c + <usize>firstRow * cRow + (<usize>j << 2);
    for (let i = firstRow; i < endRow; i += TILE_ROWS, a += tileBytes) {
      if (endRow - i >= TILE_ROWS && endColumn - j >= TILE_COLUMNS) {
        tile(depth, a, b, base, baseRow, c, cRow);
      } else {
        edgeTile(depth, a, b, base, baseRow, c, cRow, min(TILE_ROWS, endRow - i), endColumn - j, block.zeros, block.scratch);
      }
      base += baseRow * TILE_ROWS;
      c += cRow * TILE_ROWS;
    }
  }
}
