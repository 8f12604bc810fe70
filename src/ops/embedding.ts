/** Rows of a table. y[i] = table[ids[i]]; gradient: dTable[ids[i]] += dy[i]. */
import { matchShapes, ShapeError } from '../graph/errors.js';
import { call, type Graph } from '../graph/graph.js';
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

/**
 * The rows [...ids, C] of `table` [V, C] that `ids` name, not looked up yet. A function of single rows may then go over the table instead,
 * where that has fewer of them: a projection costs V rows in place of all that are looked up.
 */
export class Lookup {
  readonly graph: Graph;
  readonly shape: readonly number[];

  constructor(
    readonly table: Tensor,
    readonly ids: Tensor,
  ) {
    this.graph = table.graph;
    this.shape = [...ids.shape, table.shape[1] as number];
  }

  rows(): Tensor {
    return embedding(this.table, this.ids);
  }

  /** What `f`, which maps every row [..., C] by itself, makes of the rows. */
  map(f: (rows: Tensor) => Tensor): Tensor {
    return (this.table.shape[0] as number) < this.ids.elements ? embedding(f(this.table), this.ids) : f(this.rows());
  }

  toString(): string {
    return `[${this.shape.join(', ')}]`;
  }
}
