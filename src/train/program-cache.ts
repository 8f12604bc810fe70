/** Programs by what they were traced for, the least recently used given up first. */

import { Graph } from '../graph/graph.js';
import { plan } from '../graph/plan.js';
import type { Dtype } from '../program/dtype.js';
import type { Program } from '../program/program.js';

/** Enough for the shapes, modes and probes of one training run. */
const CAPACITY = 64;

export class ProgramCache {
  readonly #programs = new Map<string, Program>();
  /** Time spent tracing and planning so far. */
  planningMilliseconds = 0;

  /** @param dtype of matrix products. */
  constructor(readonly dtype: Dtype = 'float32') {}

  /** The program of a key, traced and planned where it is not known. */
  get(key: string, trace: (graph: Graph) => void): Program {
    let program = this.#programs.get(key);
    if (program === undefined) {
      const start = performance.now();
      const graph = new Graph(this.dtype);
      trace(graph);
      program = plan(graph);
      this.planningMilliseconds += performance.now() - start;
    }
    this.#programs.delete(key);
    this.#programs.set(key, program);
    if (this.#programs.size > CAPACITY) this.#programs.delete(this.#programs.keys().next().value as string);
    return program;
  }
}
