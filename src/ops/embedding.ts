/** Rows of a table. y[i] = table[ids[i]]; gradient: dTable[ids[i]] += dy[i]. */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call } from '../graph/graph.js';
import type { Tensor } from '../graph/tensor.js';
import { sizeOf } from '../program/variable.js';
import { full } from './copy.js';

/**
 * y [...ids, C] = the rows of `table` [V, C] that `ids` (i32, any shape) name. An id outside 0 … V−1 gives NaN.
 * @param learnt what the gradient takes for `ids`: where that is outside 0 … V−1, no row gets any (PyTorch's `padding_idx`)
 * @throws ShapeError
 */
export function embedding(table: Tensor, ids: Tensor, learnt = ids): Tensor {
  const { V, C } = matchShapes('embedding', { table: [table, ['V', 'C']], learnt: [learnt, ids.shape] });
  if (ids.type !== 'i32') throw new ShapeError('embedding', 'ids', 'of type i32', ids);
  const N = sizeOf(ids.shape);
  return table.graph.node({
    op: 'embedding',
    inputs: { table, ids },
    outputs: { y: { shape: [...ids.shape, C] } },
    calls: ({ y }) => [call('embedding', { table, ids, y }, { N, V, C })],
    gradient: ({ y: dy }) => ({
      to: {
        table:
          dy &&
          ((sum) =>
            table.graph.node({
              op: 'embeddingBackward',
              inputs: { learnt, dy },
              outputs: { dTable: { shape: table.shape, initial: sum ?? full(table.graph, table.shape, 0) } },
              calls: ({ dTable }) => [call('embeddingBackward', { ids: learnt, dy, dTable }, { N, V, C })],
            }).dTable),
      },
    }),
  }).y;
}
