/**
 * Parameter groups of encoders by their parameters' names: what fine-tuning does to layers near the text and near the task.
 *
 * - Biases and layer normalisations do not decay (Devlin et al. 2019, in their code).
 * - Each layer learns more slowly than the one above it (Howard & Ruder 2018, "Universal language model fine-tuning", section 3.2).
 * - Some parts stay as they are.
 */
import { checkOptions, either, fraction, OptionError, type Rule } from '../program/options.js';
import type { ParameterGroup } from './groups.js';

export interface EncoderGroupOptions {
  /** What the learning rate of each layer is to that of the one above it: the head has the whole rate. Default 1. */
  readonly layerDecay?: number | undefined;
  /** Parts that are not trained, separated by commas: `embeddings`, `pooler`, a layer `3`, or layers `0-5`. Default: none. */
  readonly freeze?: string | undefined;
}

const one: Rule = { expected: '1', accepts: (value) => value === 1 };
const text: Rule = { expected: 'a text such as embeddings,0-5', accepts: (value) => typeof value === 'string' };
const rules = { layerDecay: either(fraction, one), freeze: text };

/** The parts of an encoder that have a name; its layers have a number. */
const PARTS = ['embeddings', 'pooler'] as const;
type Part = (typeof PARTS)[number] | number | 'head';

function partOf(name: string): Part {
  const layer = /(?:^|\.)layer\.(\d+)\./.exec(name)?.[1];
  if (layer !== undefined) return Number(layer);
  return PARTS.find((part) => `.${name}`.includes(`.${part}.`)) ?? 'head';
}

const isUndecayed = (name: string): boolean => /(?:^|\.)bias$|layer_?norm\.[^.]*$/i.test(name);

/** @throws OptionError for a part that there is not */
function frozenParts(freeze: string, layers: number): Set<Part> {
  const refuse = (expected: string, given: string): never => {
    throw new OptionError(`freeze: Expected ${expected} but received "${given}"`);
  };
  const parts = freeze.split(',').flatMap((given): Part[] => {
    const each = given.trim();
    const named = PARTS.find((part) => part === each);
    if (named !== undefined) return [named];
    const [, first = '', last = first] = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(each) ?? [];
    if (first === '') return refuse(`${PARTS.join(', ')} or layers such as 0-5`, each);
    if (Number(last) < Number(first)) return refuse('layers in ascending order', each);
    if (Number(last) >= layers) return refuse(layers === 0 ? 'no layers' : `layers from 0 to ${layers - 1}`, each);
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index);
  });
  return new Set(parts);
}

/** Powers of the layer decay: the head and the pooler 0, the highest layer 1, the embeddings the most. */
function depthOf(part: Part, layers: number): number {
  if (part === 'embeddings') return layers + 1;
  return typeof part === 'number' ? layers - part : 0;
}

/**
 * Groups for an encoder's parameters by their names, one for each combination of learning rate, decay and freezing.
 * @throws OptionError for an option that is unknown or does not fit; the groups throw it for a part that there is not, and if nothing is left
 * to train
 */
export function encoderGroups(options: EncoderGroupOptions = {}): (names: readonly string[]) => ParameterGroup[] {
  checkOptions('encoderGroups', options, rules);
  return (names) => groupsOf(names, options);
}

function groupsOf(names: readonly string[], { layerDecay = 1, freeze }: EncoderGroupOptions): ParameterGroup[] {
  const layers = names
    .map(partOf)
    .reduce<number>((most, part) => (typeof part === 'number' && part >= most ? part + 1 : most), 0);
  const frozen = freeze === undefined ? new Set<Part>() : frozenParts(freeze, layers);
  const groups = new Map<string, { readonly names: Set<string>; readonly group: Omit<ParameterGroup, 'match'> }>();
  for (const name of names) {
    const part = partOf(name);
    const group = {
      rateFactor: layerDecay ** depthOf(part, layers),
      ...(isUndecayed(name) && { weightDecay: 0 }),
      frozen: frozen.has(part),
    };
    const key = JSON.stringify(group);
    const known = groups.get(key) ?? { names: new Set(), group };
    groups.set(key, known);
    known.names.add(name);
  }
  if (names.length > 0 && [...groups.values()].every(({ group }) => group.frozen)) {
    throw new OptionError(`freeze: Expected something left to train but received "${freeze}"`);
  }
  return [...groups.values()].map(({ names: its, group }) => ({ match: (name) => its.has(name), ...group }));
}
