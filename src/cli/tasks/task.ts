/** A task: a row of `seqgrad train`, and what `predict` and `evaluate` do with its models. */
import type { Command } from 'commander';
import type { BackendFlags } from '../command.js';

/** The options of `seqgrad evaluate`: each task takes those that concern it. */
export interface EvaluateFlags extends BackendFlags, TableFlags {
  text?: string[];
  data?: string;
  batch?: number;
  window?: number;
  season?: number;
  last?: number;
}

/** The options of `seqgrad predict`. */
export interface PredictFlags extends BackendFlags, TableFlags {
  text?: string[];
  data?: string;
  json?: boolean;
}

/** How tables and JSON lines are read. */
export interface TableFlags {
  textColumn?: string;
  pairColumn?: string;
  labelColumn?: string;
  delimiter?: string;
  header?: boolean;
  missing?: string;
}

/** Metrics by the names they have in JSON: numbers, and details such as those of each class. */
export type Metrics = Readonly<Record<string, unknown>>;

export interface Measured {
  readonly metrics: Metrics;
  /** For people, in one line. */
  readonly text: string;
  /** For people who want more. */
  readonly details?: string;
}

export interface Prediction {
  readonly json: Readonly<Record<string, unknown>>;
  /** For people. */
  readonly text: string;
}

export interface Task {
  readonly name: string;
  readonly summary: string;
  /** What config.json calls its models. */
  readonly modelTypes: readonly string[];
  /** Adds the task's options and its action to the command `seqgrad train <name>`. */
  define(command: Command): void;
  evaluate(folder: string, flags: EvaluateFlags): Promise<Measured>;
  predict(folder: string, flags: PredictFlags): AsyncIterable<Prediction>;
}
