/** Rows of a table by id. */
import { Embedding, EmbeddingBackward } from '../generated/instructions';
import { addRow, copyRow, fillRow } from '../simd/rows';
import { lanes, parallel } from '../team';
import { ceilDiv, rowsOf, STREAMED } from '../tickets';

/** table [V, C], ids [N] → y [N, C]. */
export function embedding(r: Embedding): void {
  parallel(ceilDiv(r.N, rowsOf(STREAMED, r.C)), embeddingTicket, changetype<usize>(r));
}

function embeddingTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<Embedding>(record);
  const V = r.V, C = r.C, table = r.table;
  const rowBytes = <usize>C << 2;
  const rows = rowsOf(STREAMED, C), first = ticket * rows, end = min(r.N, first + rows);
  let id = r.ids + (<usize>first << 2), y = r.y + <usize>first * rowBytes;
  for (let i = first; i < end; i++, id += 4, y += rowBytes) {
    const row = load<u32>(id); // a negative id is a large one
    if (row < <u32>V) copyRow(C, table + <usize>row * rowBytes, y);
    else fillRow(C, NaN, y);
  }
}

/** Columns of a ticket, which takes all rows so that i ascends. Each ticket reads all ids: no more tickets than are of use. */
@inline function columnsOf(N: i32, C: i32): i32 { return max(rowsOf(STREAMED, N), lanes() == 1 ? C : 32); }

/** dTable[ids[i]] += dy[i], i ascending. */
export function embeddingBackward(r: EmbeddingBackward): void {
  parallel(ceilDiv(r.C, columnsOf(r.N, r.C)), embeddingBackwardTicket, changetype<usize>(r));
}

function embeddingBackwardTicket(record: usize, _workspace: usize, ticket: i32): void {
  const r = changetype<EmbeddingBackward>(record);
  const N = r.N, V = r.V, C = r.C;
  const rowBytes = <usize>C << 2;
  const columns = columnsOf(N, C), first = ticket * columns, n = min(columns, C - first);
  const dTable = r.dTable + (<usize>first << 2);
  let id = r.ids, dy = r.dy + (<usize>first << 2);
  for (let i = 0; i < N; i++, id += 4, dy += rowBytes) {
    const row = load<u32>(id);
    if (row < <u32>V) addRow(n, dy, dTable + <usize>row * rowBytes);
  }
}
