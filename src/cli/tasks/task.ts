/** A training task: one row of `seqgrad train`. Later tasks (classify, label, forecast) are files beside lm.ts. */
import type { Command } from 'commander';

export interface Task {
  readonly name: string;
  readonly summary: string;
  /** Adds the task's options and its action to the command `seqgrad train <name>`. */
  define(command: Command): void;
}
