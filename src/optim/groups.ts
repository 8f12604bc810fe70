/** Parameter groups as data: which parameters decay, learn at another rate, or stay as they are. */
import type { Arena } from '../program/variable.js';

/** Settings for the parameters whose name matches. */
export interface ParameterGroup {
  /** Matched against parameter names, such as `lstm.weight_hh_l0`, or asked about them. The first group that matches counts. */
  readonly match: RegExp | ((name: string) => boolean);
  /** Multiplies the learning rate. Default 1. */
  readonly rateFactor?: number;
  /** Default: the trainer's weight decay. */
  readonly weightDecay?: number;
  /** Gets no gradient and does not change. Default false. */
  readonly frozen?: boolean;
}

/** Groups, or what makes them from the names of a model's parameters. */
export type ParameterGroups = readonly ParameterGroup[] | ((names: readonly string[]) => readonly ParameterGroup[]);

const matches = ({ match }: ParameterGroup, name: string): boolean =>
  match instanceof RegExp ? name.search(match) >= 0 : match(name);

export interface SegmentTable {
  /** Rows of offset, length, group, frozen, one for each parameter. */
  readonly segments: Int32Array;
  /** Rows of rate factor, weight decay. */
  readonly groups: Float64Array;
  /** Names of the parameters that are not trained. */
  readonly frozen: ReadonlySet<string>;
}

/** The tables that the optimizer instructions read. Parameters that no group matches form a last group of their own. */
export function segmentTable(parameters: Arena, groups: readonly ParameterGroup[], weightDecay: number): SegmentTable {
  const all: readonly ParameterGroup[] = [...groups, { match: /^/ }];
  const frozen = new Set<string>();
  const rows = parameters.variables.flatMap(({ name, offset, elements }) => {
    const index = all.findIndex((group) => matches(group, name));
    const isFrozen = all[index]?.frozen === true;
    if (isFrozen) frozen.add(name);
    return [offset, elements, index, Number(isFrozen)];
  });
  return {
    segments: Int32Array.from(rows),
    groups: Float64Array.from(all.flatMap((group) => [group.rateFactor ?? 1, group.weightDecay ?? weightDecay])),
    frozen,
  };
}
