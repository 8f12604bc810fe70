/**
 * Matrix products. For each block of K, B is packed into the workspace, in strips of columns, and so is A where its rows are not
 * contiguous; then tiles are computed, at the edges of a matrix too. Packing takes any strides, so a transpose costs little. A factor
 * of few rows or columns is not worth that: the other is read where it lies. Factors in bfloat16 are rounded where they are packed, so
 * both always are.
 */
import { Matmul, MatmulAdd } from '../generated/instructions';
import { roundToBfloat16 } from '../simd/bfloat16';
import { packRowMajor, packStrips } from '../simd/pack';
import { addRow, copyOrZero, copyRow } from '../simd/rows';
import { multiplyStrip, STRIP, STRIP_ROW, ZEROS } from '../simd/tile';
import { multiplyRow } from '../simd/vector';
import { inTurn, lanes, laneScratch, parallel, Work } from '../team';
import { ceilDiv } from '../tickets';
import { geluRow, geluTanhRow, reluRow } from './elementwise';

/** K is cut here and nowhere else: part of the order of sums. */
const DEPTH: i32 = 256;

/** Rows, or columns, for which nothing is packed. */
const FEW: i32 = 4;
/** What a ticket computes for each of those. */
const TICKET_LANES: i32 = 128;

/** What a ticket packs: columns of B, in whole strips, or rows of A. */
const PACKED_COLUMNS: i32 = 96;
const PACKED_ROWS: i32 = 64;
/** Rows of A that are packed at a time: as many as may share a cache line. */
const LINE: i32 = 16;
/** What a ticket computes. Its share of A (96 KiB at full depth) stays in L2, a strip of B (12 KiB) in L1. */
const TICKET_ROWS: i32 = 96;
const TICKET_COLUMNS: i32 = 240;
/** Of a product that has few such tickets. */
const SMALL_TICKET_ROWS: i32 = 24;
const SMALL_TICKET_COLUMNS: i32 = 60;
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
  cColumn: usize;
  cMatrix: usize;
  bfloat16: bool;
  /** What follows the sums: none unless this is the last block. Where an operand is absent, it is 0. */
  isFollowed: bool;
  activation: i32;
  residual: usize;
  preActivation: usize;
  /** Whether it is worth sharing and may be. */
  isShared: bool;
  /** What a ticket computes of a matrix, and how many tickets lie side by side. */
  rows: i32;
  columns: i32;
  across: i32;

  @inline get packsA(): bool { return this.bfloat16 || this.aColumn != 4; }
  /** Tickets of one matrix. */
  @inline get packingTickets(): i32 { return (this.packsA ? ceilDiv(this.M, PACKED_ROWS) : 0) + ceilDiv(this.N, PACKED_COLUMNS); }
  @inline get tilesTickets(): i32 { return ceilDiv(this.M, this.rows) * this.across; }
  /** [N / 12][depth][12] of a matrix */
  @inline packedB(matrix: i32): usize {
    return changetype<usize>(this) + (<usize>HEADER << 2) + <usize>matrix * packedElements(this.M, this.N, this.depth) * 4;
  }
  /** [M][depth] of a matrix, whole vectors in a row */
  @inline packedA(matrix: i32): usize { return this.packedB(matrix) + (<usize>padded(this.N, STRIP) * this.depth << 2); }
  @inline get packedRow(): usize { return <usize>padded(this.depth, 4) << 2; }
}

@inline function padded(n: i32, size: i32): i32 { return ceilDiv(n, size) * size; }
@inline function packedElements(M: i32, N: i32, depth: i32): usize {
  return <usize>padded(N, STRIP) * depth + <usize>M * padded(depth, 4);
}

/** a [M, K], b [K, N], c [M, N] with the strides of the record, for each of `batch`. */
export function matmul(r: Matmul, workspace: usize): void {
  const K = r.K, bias = r.bias, atOnce = matricesAtOnce(r);
  for (let i = 0; i < r.batch; i += atOnce) {
    const count = min(atOnce, r.batch - i);
    if (K == 0) fillMatrices(r, i, count);
    for (let k = 0; k < K; k += DEPTH) {
      const block = blockAt(r, i, count, k, workspace);
      block.isFollowed = k + block.depth == K && (r.activation != 0 || r.residual != 0 || r.preActivation != 0);
      block.activation = r.activation;
      block.residual = besideC(r.residual, r, i);
      block.preActivation = besideC(r.preActivation, r, i);
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

/** An empty sum: every row of c = f(bias + residual), or of 0. */
function fillMatrices(r: Matmul, first: i32, count: i32): void {
  const rowBytes = <usize>r.cRow << 2;
  for (let i = first; i < first + count; i++) {
    let c = besideC(r.c, r, i), residual = besideC(r.residual, r, i), preActivation = besideC(r.preActivation, r, i);
    for (let row = 0; row < r.M; row++, c += rowBytes) {
      copyOrZero(r.N, r.bias, c);
      followRow(r.N, r.activation, residual, preActivation, c);
      if (residual) residual += rowBytes;
      if (preActivation) preActivation += rowBytes;
    }
  }
}

/** Matrix i of an operand that lies as c does; 0 where it is absent. */
@inline function besideC(operand: usize, r: Matmul, i: i32): usize { return operand ? operand + (<usize>i * r.cBatch << 2) : 0; }

/** c = f(c + residual); what f was given goes to preActivation. */
function followRow(n: i32, activation: i32, residual: usize, preActivation: usize, c: usize): void {
  if (residual) addRow(n, residual, c);
  if (preActivation) copyRow(n, c, preActivation);
  if (activation == 1) reluRow(n, c, c);
  else if (activation == 2) geluRow(n, c, c);
  else if (activation == 3) geluTanhRow(n, c, c);
}

/** The same for n elements that are `step` bytes apart, at most as many as a ticket has: they take turns in the scratch of the lane. */
function followColumn(n: i32, activation: i32, residual: usize, preActivation: usize, c: usize, step: usize): void {
  // The first few bytes are for what the functions of a row do with its last elements.
  const sums = laneScratch() + 64, added = sums + (<usize>TICKET_LANES << 2);
  copySteps(n, c, step, sums, 4);
  if (residual) copySteps(n, residual, step, added, 4);
  if (residual) addRow(n, added, sums);
  if (preActivation) copySteps(n, sums, 4, preActivation, step);
  followRow(n, activation, 0, 0, sums);
  copySteps(n, sums, 4, c, step);
}

function copySteps(n: i32, x: usize, xStep: usize, y: usize, yStep: usize): void {
  for (; n > 0; n--, x += xStep, y += yStep) store<f32>(y, load<f32>(x));
}

/** What follows the sums of some rows and columns, `at` bytes from the first element of c. */
function follow(block: Block, at: usize, rows: i32, columns: i32): void {
  const activation = block.activation, cRow = block.cRow, cColumn = block.cColumn;
  const residual = block.residual, preActivation = block.preActivation;
  for (; rows > 0; rows--, at += cRow) {
    const added = residual ? residual + at : 0, kept = preActivation ? preActivation + at : 0;
    if (cColumn == 4) followRow(columns, activation, added, kept, block.c + at);
    else followColumn(columns, activation, added, kept, block.c + at, cColumn);
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
  block.cColumn = 4;
  block.cMatrix = <usize>r.cBatch << 2;
  block.c = r.c + <usize>first * block.cMatrix;
  block.isFollowed = false;
  block.base = block.c;
  block.baseRow = block.cRow;
  block.baseColumn = 4;
  block.baseMatrix = block.cMatrix;
  block.bfloat16 = r.bfloat16 != 0;
  block.isShared = hasSeparateRows(r) && <i64>M * N * block.depth * count >= LEAST_SHARED;
  const few = <i64>ceilDiv(M, TICKET_ROWS) * ceilDiv(N, TICKET_COLUMNS) * count < FEW_TICKETS;
  block.rows = few ? SMALL_TICKET_ROWS : TICKET_ROWS;
  block.columns = few ? SMALL_TICKET_COLUMNS : TICKET_COLUMNS;
  block.across = ceilDiv(N, block.columns);
  return block;
}

/** Packing and computing are two rounds of tickets; within a round they are independent. */
function compute(block: Block): void {
  if (!block.bfloat16 && min(block.M, block.N) <= FEW) {
    if (block.N < block.M) transpose(block);
    share(block, block.M * ceilDiv(block.N, TICKET_LANES), rowTicket, true);
    return;
  }
  share(block, block.packingTickets, packTicket, true);
  share(block, block.tilesTickets, tilesTicket, block.rows == SMALL_TICKET_ROWS);
}

function share(block: Block, tickets: i32, work: Work, isBrief: bool): void {
  if (block.isShared) parallel(tickets * block.count, work, changetype<usize>(block), 0, isBrief);
  else inTurn(tickets * block.count, work, changetype<usize>(block));
}

/** cᵀ = baseᵀ + bᵀ·aᵀ */
function transpose(block: Block): void {
  const M = block.M, a = block.a, aRow = block.aRow, aColumn = block.aColumn, aMatrix = block.aMatrix;
  const baseRow = block.baseRow, cRow = block.cRow;
  block.M = block.N;
  block.N = M;
  block.a = block.b;
  block.aRow = block.bColumn;
  block.aColumn = block.bRow;
  block.aMatrix = block.bMatrix;
  block.b = a;
  block.bRow = aColumn;
  block.bColumn = aRow;
  block.bMatrix = aMatrix;
  block.baseRow = block.baseColumn;
  block.baseColumn = baseRow;
  block.cRow = block.cColumn;
  block.cColumn = cRow;
}

/** Some columns of a row. */
function rowTicket(context: usize, _workspace: usize, ticket: i32): void {
  const block = changetype<Block>(context);
  const across = ceilDiv(block.N, TICKET_LANES), tickets = block.M * across;
  const matrix = <usize>(ticket / tickets), within = ticket % tickets;
  const row = <usize>(within / across), first = within % across * TICKET_LANES, column = <usize>first;
  const base = block.base + matrix * block.baseMatrix + row * block.baseRow + column * block.baseColumn;
  const c = block.c + matrix * block.cMatrix + row * block.cRow + column * block.cColumn;
  const a = block.a + matrix * block.aMatrix + row * block.aRow, b = block.b + matrix * block.bMatrix + column * block.bColumn;
  const columns = min(TICKET_LANES, block.N - first);
  multiplyRow(block.depth, a, block.aColumn, b, block.bRow, block.bColumn, columns, base, block.baseColumn, c, block.cColumn);
  if (block.isFollowed) follow(block, c - block.c, 1, columns);
}

function packTicket(context: usize, _workspace: usize, ticket: i32): void {
  const block = changetype<Block>(context);
  const tickets = block.packingTickets, ofB = ceilDiv(block.N, PACKED_COLUMNS);
  const matrix = ticket / tickets, within = ticket % tickets;
  if (within < ofB) packB(block, matrix, within * PACKED_COLUMNS);
  else packA(block, matrix, (within - ofB) * PACKED_ROWS);
}

function packB(block: Block, matrix: i32, first: i32): void {
  const to = block.packedB(matrix) + (<usize>first * block.depth << 2);
  const from = block.b + <usize>matrix * block.bMatrix + <usize>first * block.bColumn;
  const columns = min(PACKED_COLUMNS, block.N - first);
  packStrips(to, from, block.bColumn, block.bRow, columns, block.depth);
  if (block.bfloat16) roundToBfloat16(<usize>padded(columns, STRIP) * block.depth, to);
}

function packA(block: Block, matrix: i32, first: i32): void {
  const packedRow = block.packedRow, end = min(block.M, first + PACKED_ROWS);
  for (let i = first; i < end; i += LINE) {
    const to = block.packedA(matrix) + <usize>i * packedRow, from = block.a + <usize>matrix * block.aMatrix + <usize>i * block.aRow;
    const rows = min(LINE, end - i);
    packRowMajor(to, packedRow, from, block.aRow, block.aColumn, rows, block.depth);
    if (block.bfloat16) roundToBfloat16(<usize>rows * packedRow >> 2, to);
  }
}

function tilesTicket(context: usize, _workspace: usize, ticket: i32): void {
  const block = changetype<Block>(context);
  const depth = block.depth, across = block.across;
  const matrix = ticket / block.tilesTickets, within = ticket % block.tilesTickets;
  const firstRow = within / across * block.rows, endRow = min(block.M, firstRow + block.rows);
  const firstColumn = within % across * block.columns, endColumn = min(block.N, firstColumn + block.columns);
  const baseRow = block.baseRow, cRow = block.cRow;
  const aRow = block.packsA ? block.packedRow : block.aRow;
  const rowsOfA = (block.packsA ? block.packedA(matrix) : block.a + <usize>matrix * block.aMatrix) + <usize>firstRow * aRow;
  const baseOfRows = block.base + <usize>matrix * block.baseMatrix + <usize>firstRow * baseRow;
  const cOfRows = block.c + <usize>matrix * block.cMatrix + <usize>firstRow * cRow;
  let b = block.packedB(matrix) + (<usize>firstColumn * depth << 2);
  for (let j = firstColumn; j < endColumn; j += STRIP, b += <usize>depth * STRIP_ROW) {
    const base = baseOfRows + <usize>j * block.baseColumn, c = cOfRows + (<usize>j << 2);
    multiplyStrip(endRow - firstRow, min(STRIP, endColumn - j), depth, rowsOfA, aRow, b, base, baseRow, c, cRow);
  }
  const first = cOfRows + (<usize>firstColumn << 2);
  if (block.isFollowed) follow(block, first - block.c, endRow - firstRow, endColumn - firstColumn);
}
