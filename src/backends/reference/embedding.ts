/** A table of vectors, looked up by id. An id outside the table shows as a row of NaN and has no gradient. */
import type { Definition } from './tensor.js';

export const embedding: Definition<'embedding'> = ({ operands: { table, ids, y }, dims: { N, V, C } }) => {
  for (let i = 0; i < N; i++) {
    const id = ids.at(i);
    const known = id >= 0 && id < V;
    for (let c = 0; c < C; c++) y.set(known ? table.at(id, c) : Number.NaN, i, c); // y[i] = table[ids[i]]
  }
};

export const embeddingBackward: Definition<'embeddingBackward'> = ({
  operands: { ids, dy, dTable },
  dims: { N, V, C },
}) => {
  for (let i = 0; i < N; i++) {
    const id = ids.at(i);
    if (!(id >= 0 && id < V)) continue;
    for (let c = 0; c < C; c++) dTable.add(dy.at(i, c), id, c); // of: y[i] = table[ids[i]]; an id may occur again
  }
};
