/** Rows of a table by id. */
import { Embedding, EmbeddingBackward } from '../generated/instructions';
import { addRow, copyRow, fillRow } from '../simd/rows';

/** table [V, C], ids [N] → y [N, C]. */
export function embedding(r: Embedding): void {
  const N = r.N, V = r.V, C = r.C, table = r.table;
  const rowBytes = <usize>C << 2;
  let id = r.ids, y = r.y;
  for (let i = 0; i < N; i++, id += 4, y += rowBytes) {
    const row = load<u32>(id); // a negative id is a large one
    if (row < <u32>V) copyRow(C, table + <usize>row * rowBytes, y);
    else fillRow(C, NaN, y);
  }
}

/** dTable[ids[i]] += dy[i], i ascending. */
export function embeddingBackward(r: EmbeddingBackward): void {
  const N = r.N, V = r.V, C = r.C, dTable = r.dTable;
  const rowBytes = <usize>C << 2;
  let id = r.ids, dy = r.dy;
  for (let i = 0; i < N; i++, id += 4, dy += rowBytes) {
    const row = load<u32>(id);
    if (row < <u32>V) addRow(C, dy, dTable + <usize>row * rowBytes);
  }
}
