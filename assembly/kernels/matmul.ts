/**
 * Matrix products. For each block of K, A and B are packed into the workspace, then tiles of 4×8 are computed. Packing takes any
 * strides, so a transpose costs nothing further; the edges of a matrix go through the same tile as its middle.
 */
import { Matmul, MatmulAdd } from '../generated/instructions';
import { packLanes } from '../simd/pack';
import { copyOrZero } from '../simd/rows';
import { edgeTile, TILE_COLUMNS, TILE_ROWS, tile, ZEROS } from '../simd/tile';
import { inTurn, lanes, parallel } from '../team';
import { ceilDiv } from '../tickets';

/** K is cut here and nowhere else: part of the order of sums. */
const DEPTH: i32 = 256;

/** What a ticket packs. */
const PACKED_LANES: i32 = 64;
/** What a ticket computes. Its share of A (64 KiB at full depth) stays in L2, a strip of B (8 KiB) in L1. */
const TICKET_ROWS: i32 = 64;
const TICKET_COLUMNS: i32 = 256;
/** Of a product that has few such tickets. */
const SMALL_TICKET_ROWS: i32 = 32;
const SMALL_TICKET_COLUMNS: i32 = 64;
const FEW_TICKETS: i32 = 16;
/** Multiplications of a block that is worth sharing. */
const LEAST_SHARED: i64 = 1 << 17;

/** Elements of the workspace that the instruction list grants, but for what belongs to the panels. */
const HEADER: i64 = 64;

/** c = base + a·b over one block of K, for `count` matrices, at the start of the workspace. Rows, columns and matrices are strides in bytes. */
@unmanaged
class Block {
  M: i32;
  N: i32;
  depth: i32;
  count: i32;
  a: usize;
  aRow: usize;
  aColumn: usize;
  aMatrix: usize;
  b: usize;
  bRow: usize;
  bColumn: usize;
  bMatrix: usize;
  /** c itself, the bias, or zeros. */
  base: usize;
  baseRow: usize;
  baseColumn: usize;
  baseMatrix: usize;
  c: usize;
  cRow: usize;
  cMatrix: usize;
  /** Whether it is worth sharing and may be. */
  isShared: bool;
  /** What a ticket computes of a matrix, and how many tickets lie side by side. */
  rows: i32;
  columns: i32;
  across: i32;

  /** Tickets of one matrix. */
  @inline get packingTickets(): i32 { return ceilDiv(this.M, PACKED_LANES) + ceilDiv(this.N, PACKED_LANES); }
  @inline get tilesTickets(): i32 { return ceilDiv(this.M, this.rows) * this.across; }
  /** [M / 4][depth][4] of a matrix */
  @inline packedA(matrix: i32): usize {
    return changetype<usize>(this) + (<usize>HEADER << 2) + <usize>matrix * packedElements(this.M, this.N, this.depth) * 4;
  }
  /** [N / 8][depth][8] of a matrix */
  @inline packedB(matrix: i32): usize { return this.packedA(matrix) + (<usize>padded(this.M, TILE_ROWS) * this.depth << 2); }
}

@inline function padded(n: i32, size: i32): i32 { return ceilDiv(n, size) * size; }
@inline function packedElements(M: i32, N: i32, depth: i32): usize {
  return <usize>(padded(M, TILE_ROWS) + padded(N, TILE_COLUMNS)) * depth;
}

/** a [M, K], b [K, N], c [M, N] with the strides of the record, for each of `batch`. */
export function matmul(r: Matmul, workspace: usize): void {
  const K = r.K, bias = r.bias, atOnce = matricesAtOnce(r);
  for (let i = 0; i < r.batch; i += atOnce) {
    const count = min(atOnce, r.batch - i);
    if (K == 0) fillMatrices(r, i, count);
    for (let k = 0; k < K; k += DEPTH) {
      const block = blockAt(r, i, count, k, workspace);
      if (k == 0) {
        block.base = bias ? bias : ZEROS;
        block.baseRow = 0;
        block.baseColumn = bias ? 4 : 0;
        block.baseMatrix = 0;
      }
      compute(block);
    }
  }
}

/** As {@link matmul}, onto what c holds. */
export function matmulAdd(r: MatmulAdd, workspace: usize): void {
  const K = r.K, atOnce = matricesAtOnce(r);
  for (let i = 0; i < r.batch; i += atOnce) {
    for (let k = 0; k < K; k += DEPTH) compute(blockAt(r, i, min(atOnce, r.batch - i), k, workspace));
  }
}

/** An empty sum: every row of c = bias, or 0. */
function fillMatrices(r: Matmul, first: i32, count: i32): void {
  for (let i = first; i < first + count; i++) {
    let c = r.c + (<usize>i * r.cBatch << 2);
    for (let row = 0; row < r.M; row++, c += <usize>r.cRow << 2) copyOrZero(r.N, r.bias, c);
  }
}

/** Whether no element of c belongs to two rows or matrices: those that it does are added up in order. */
@inline function hasSeparateRows<Record>(r: Record): bool { return r.M <= 1 || r.cRow >= r.N; }
@inline function hasSeparateMatrices<Record>(r: Record): bool { return <i64>(r.M - 1) * r.cRow + r.N <= r.cBatch; }

/** How many matrices are shared out together: as many as the workspace holds, where there is somebody to share them with. */
@inline function matricesAtOnce<Record>(r: Record): i32 {
  if (lanes() == 1 || r.batch <= 1 || !hasSeparateMatrices(r)) return 1;
  const granted = <i64>DEPTH * (<i64>r.M + r.N + DEPTH) - HEADER;
  const each = <i64>packedElements(r.M, r.N, min(DEPTH, r.K));
  return <i32>max<i64>(min<i64>(granted / max<i64>(each, 1), min(r.batch, 1024)), 1);
}

/** `count` matrices of the batch from `first` on, K from `k` on, added to c. */
@inline function blockAt<Record>(r: Record, first: i32, count: i32, k: i32, workspace: usize): Block {
  const block = changetype<Block>(workspace);
  const M = r.M, N = r.N;
  block.M = M;
  block.N = N;
  block.depth = min(DEPTH, r.K - k);
  block.count = count;
  block.aRow = <usize>r.aRow << 2;
  block.aColumn = <usize>r.aColumn << 2;
  block.aMatrix = <usize>r.aBatch << 2;
  block.a = r.a + <usize>first * block.aMatrix + <usize>k * block.aColumn;
  block.bRow = <usize>r.bRow << 2;
  block.bColumn = <usize>r.bColumn << 2;
  block.bMatrix = <usize>r.bBatch << 2;
  block.b = r.b + <usize>first * block.bMatrix + <usize>k * block.bRow;
  block.cRow = <usize>r.cRow << 2;
  block.cMatrix = <usize>r.cBatch << 2;
  block.c = r.c + <usize>first * block.cMatrix;
  block.base = block.c;
  block.baseRow = block.cRow;
  block.baseColumn = 4;
  block.baseMatrix = block.cMatrix;
  block.isShared = hasSeparateRows(r) && <i64>M * N * block.depth * count >= LEAST_SHARED;
  const few = <i64>ceilDiv(M, TICKET_ROWS) * ceilDiv(N, TICKET_COLUMNS) * count < FEW_TICKETS;
  block.rows = few ? SMALL_TICKET_ROWS : TICKET_ROWS;
  block.columns = few ? SMALL_TICKET_COLUMNS : TICKET_COLUMNS;
  block.across = ceilDiv(N, block.columns);
  return block;
}

/** Packing and computing are two rounds of tickets; within a round they are independent. */
function compute(block: Block): void {
  const packing = block.packingTickets * block.count, tiles = block.tilesTickets * block.count;
  if (block.isShared) {
    parallel(packing, packTicket, changetype<usize>(block));
    parallel(tiles, tilesTicket, changetype<usize>(block), 0, block.rows == SMALL_TICKET_ROWS);
  } else {
    inTurn(packing, packTicket, changetype<usize>(block));
    inTurn(tiles, tilesTicket, changetype<usize>(block));
  }
}

function packTicket(context: usize, _workspace: usize, ticket: i32): void {
  const block = changetype<Block>(context);
  const tickets = block.packingTickets, ofA = ceilDiv(block.M, PACKED_LANES);
  const matrix = ticket / tickets, within = ticket % tickets;
  if (within < ofA) packA(block, matrix, within * PACKED_LANES);
  else packB(block, matrix, (within - ofA) * PACKED_LANES);
}

function packA(block: Block, matrix: i32, first: i32): void {
  const depth = block.depth, row = block.aRow, column = block.aColumn;
  const to = block.packedA(matrix), a = block.a + <usize>matrix * block.aMatrix;
  const end = min(block.M, first + PACKED_LANES);
  for (let i = first; i < end; i += TILE_ROWS) {
    packLanes(to + (<usize>i * depth << 2), 16, a + <usize>i * row, row, column, end - i, depth);
  }
}

function packB(block: Block, matrix: i32, first: i32): void {
  const depth = block.depth, row = block.bRow, column = block.bColumn;
  const packed = block.packedB(matrix), b = block.b + <usize>matrix * block.bMatrix;
  const end = min(block.N, first + PACKED_LANES);
  for (let j = first; j < end; j += TILE_COLUMNS) {
    const to = packed + (<usize>j * depth << 2);
    packLanes(to, 32, b + <usize>j * column, column, row, end - j, depth);
    packLanes(to + 16, 32, b + <usize>(j + 4) * column, column, row, end - j - 4, depth);
  }
}

function tilesTicket(context: usize, _workspace: usize, ticket: i32): void {
  const block = changetype<Block>(context);
  const depth = block.depth, across = block.across;
  const matrix = ticket / block.tilesTickets, within = ticket % block.tilesTickets;
  const firstRow = within / across * block.rows, endRow = min(block.M, firstRow + block.rows);
  const firstColumn = within % across * block.columns, endColumn = min(block.N, firstColumn + block.columns);
  const baseRow = block.baseRow, cRow = block.cRow;
  const tileBytes = <usize>depth * TILE_ROWS << 2;
  const rowsOfA = block.packedA(matrix) + (<usize>firstRow * depth << 2);
  const baseOfRows = block.base + <usize>matrix * block.baseMatrix + <usize>firstRow * baseRow;
  const cOfRows = block.c + <usize>matrix * block.cMatrix + <usize>firstRow * cRow;
  let b = block.packedB(matrix) + (<usize>firstColumn * depth << 2);
  for (let j = firstColumn; j < endColumn; j += TILE_COLUMNS, b += tileBytes * 2) {
    let a = rowsOfA, base = baseOfRows + <usize>j * block.baseColumn, c = cOfRows + (<usize>j << 2);
    for (let i = firstRow; i < endRow; i += TILE_ROWS, a += tileBytes) {
      if (endRow - i >= TILE_ROWS && endColumn - j >= TILE_COLUMNS) {
        tile(depth, a, b, base, baseRow, c, cRow);
      } else {
        edgeTile(depth, a, b, base, baseRow, c, cRow, min(TILE_ROWS, endRow - i), endColumn - j);
      }
      base += baseRow * TILE_ROWS;
      c += cRow * TILE_ROWS;
    }
  }
}
