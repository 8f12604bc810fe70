/**
 * Programs and graphs run on names instead of numbers: every element holds an identifier of how it was computed. A planned program
 * is right exactly if it ends with the identifiers that the graph means; a value overwritten too early, or read from the wrong
 * place, shows whatever its number would have been.
 */
import type { Graph } from '../../src/graph/graph.js';
import type { Root, Tensor } from '../../src/graph/tensor.js';
import type { AnyCall } from '../../src/program/encode.js';
import { evaluate } from '../../src/program/expression.js';
import { activations, type OperandSpec, specOf } from '../../src/program/instructions.js';
import type { Place, Program } from '../../src/program/program.js';
import type { Arena, Variable } from '../../src/program/variable.js';

function mix(...parts: readonly (number | string)[]): number {
  let hash = 0x811c9dc5;
  for (const part of parts) {
    for (const word of typeof part === 'string'
      ? [...part].map((c) => c.charCodeAt(0))
      : [part | 0, (part * 4096) | 0]) {
      hash = Math.imul(hash ^ word, 0x01000193);
      hash ^= hash >>> 15;
    }
  }
  return hash;
}

/** Offsets of an operand's elements from its start, in index order. */
export function offsetsOf(operand: OperandSpec, dims: Readonly<Record<string, number>>): number[] {
  const sizes = operand.shape.map((size) => evaluate(size, dims));
  const strides = operand.strides?.map((stride) => evaluate(stride, dims)) ?? [];
  if (operand.strides === undefined) {
    let stride = 1;
    for (const size of [...sizes].reverse()) {
      strides.unshift(stride);
      stride *= size;
    }
  }
  let offsets = [0];
  for (const [axis, size] of sizes.entries()) {
    offsets = offsets.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * (strides[axis] as number)));
  }
  return offsets;
}

interface Cells {
  get(offset: number): number;
  set(offset: number, value: number): void;
}

function execute({ instruction, dims, scalars, operands }: AnyCall<unknown>, cells: (name: string) => Cells): void {
  const spec = specOf(instruction);
  const given = Object.entries(spec.operands).filter(([name]) => operands[name] !== undefined);
  const offsets = new Map(given.map(([name, operand]) => [name, offsetsOf(operand, dims)]));
  const readAll = (name: string): number[] => (offsets.get(name) as number[]).map((offset) => cells(name).get(offset));
  if (instruction === 'copy' || instruction === 'copyAdd') {
    const [x, y] = [readAll('x'), readAll('y')];
    for (const [index, offset] of (offsets.get('y') as number[]).entries()) {
      const value = x[index] as number;
      cells('y').set(offset, instruction === 'copy' ? value : mix('add', y[index] as number, value));
    }
    return;
  }
  if (instruction === 'copyIf') {
    const [flag, x, y] = [readAll('flag')[0] as number, readAll('x'), readAll('y')];
    for (const [index, value] of x.entries()) {
      const old = y[index] as number;
      cells('y').set(index, value === old ? old : mix('if', flag, value, old));
    }
    return;
  }
  if (instruction === 'add') {
    const [a, b] = [readAll('a'), readAll('b')];
    const made = mix('sum of two', ...a.map((value, index) => value + (b[index] as number))); // whichever comes first
    for (const index of a.keys()) cells('y').set(index, mix(made, index));
    return;
  }
  if (instruction === 'matmul' && (dims.activation !== 0 || operands.residual !== undefined)) {
    for (const each of apart({ instruction, dims, scalars, operands }))
      execute(each, (name) => cells(each.operands[name] as string));
    return;
  }
  const parts: (number | string)[] = [instruction, ...Object.values(scalars), ...Object.values(dims)];
  for (const [name, { access }] of given) {
    if (access !== 'write' && access !== 'scratch') parts.push(name, ...readAll(name));
  }
  const made = mix(...parts);
  for (const [name, { access }] of given) {
    if (access === 'read') continue;
    for (const [index, offset] of (offsets.get(name) as number[]).entries())
      cells(name).set(offset, mix(made, name, index));
  }
}

/** A product and what follows it as instructions of their own, their operands those of the product. */
function apart({ dims, operands }: AnyCall<unknown>): AnyCall<string>[] {
  const { batch = 0, M = 0, N = 0, activation = 0 } = dims;
  const n = { n: batch * M * N };
  const factors = { a: 'a', b: 'b', ...(operands.bias === undefined ? {} : { bias: 'bias' }), c: 'c' };
  const calls: AnyCall<string>[] = [
    { instruction: 'matmul', dims: { ...dims, activation: 0 }, scalars: {}, operands: factors },
  ];
  if (operands.residual !== undefined) {
    calls.push({ instruction: 'add', dims: n, scalars: {}, operands: { a: 'c', b: 'residual', y: 'c' } });
  }
  if (operands.preActivation !== undefined) {
    const rows = { n0: 1, n1: 1, n2: 1, n3: n.n, x0: n.n, x1: n.n, x2: n.n, x3: 1, y0: n.n, y1: n.n, y2: n.n, y3: 1 };
    calls.push({ instruction: 'copy', dims: rows, scalars: {}, operands: { x: 'c', y: 'preActivation' } });
  }
  const name = activations[activation] ?? 'none';
  if (name !== 'none') calls.push({ instruction: name, dims: n, scalars: {}, operands: { x: 'c', y: 'c' } });
  return calls;
}

const initialOf = (arena: Arena, offset: number): number => mix('arena', arena.name, offset);
const inputOf = (name: string, index: number): number => mix('input', name, index);

export interface Outcome {
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly variables: Readonly<Record<string, readonly number[]>>;
}

/** What a graph means for some variables: the identifiers of every output and every variable afterwards. */
export function meaningOf(graph: Graph, variables: readonly Variable[]): Outcome {
  const values = new Map<Root, number[]>();
  const valuesOf = (root: Root): number[] => {
    let cells = values.get(root);
    if (cells === undefined) {
      const { source, initial } = root;
      cells = Array.from({ length: root.elements }, (_, index) => {
        if (source === 'node') return mix('junk of the meaning', root.id, index);
        if ('input' in source) return inputOf(source.input, index);
        return initialOf(source.variable.arena, source.variable.offset + index);
      });
      if (initial !== undefined) {
        const from = valuesOf(initial.root);
        for (let i = 0; i < initial.elements; i++) cells[i] = from[initial.offset + i] as number;
      }
      values.set(root, cells);
    }
    return cells;
  };
  const cellsOf = ({ root, offset }: Tensor): Cells => {
    const cells = valuesOf(root);
    return { get: (i) => cells[offset + i] as number, set: (i, value) => (cells[offset + i] = value) };
  };
  for (const node of graph.nodes) {
    for (const each of node.calls) execute(each, (name) => cellsOf(each.operands[name] as Tensor));
  }
  const read = ({ root, offset, elements }: Tensor): number[] => valuesOf(root).slice(offset, offset + elements);
  const after = new Map(
    variables.map((v) => [v, Array.from({ length: v.elements }, (_, i) => initialOf(v.arena, v.offset + i))]),
  );
  const results = new Map(
    graph.assignments.map(({ variable, value, condition }) => {
      if (condition === undefined) return [variable, read(value)] as const;
      const old = [...(after.get(variable) as number[])];
      const sides: Record<string, number[]> = { flag: read(condition), x: read(value), y: old };
      const n = value.elements;
      execute({ instruction: 'copyIf', operands: sides, dims: { n }, scalars: {} }, (name) => {
        const side = sides[name] as number[];
        return { get: (i) => side[i] as number, set: (i, id) => (side[i] = id) };
      });
      return [variable, old] as const;
    }),
  );
  return {
    outputs: Object.fromEntries([...graph.outputs].map(([name, tensor]) => [name, read(tensor)])),
    variables: Object.fromEntries([...after].map(([v, old]) => [v.toString(), results.get(v) ?? old])),
  };
}

/** What a program does to the same variables, and the overlaps the contract forbids. */
export function runSymbolically(program: Program, variables: readonly Variable[]): Outcome & { overlaps: string[] } {
  const arenas = new Map<Arena | undefined, Map<number, number>>();
  const at = (place: Place): { memory: Map<number, number>; arena: Arena | undefined; start: number } => {
    const arena = place.variable?.arena;
    const memory = arenas.get(arena) ?? new Map<number, number>();
    arenas.set(arena, memory);
    return { memory, arena, start: (place.variable?.offset ?? 0) + place.offset };
  };
  const cellsOf = (place: Place): Cells => {
    const { memory, arena, start } = at(place);
    return {
      get: (i) => memory.get(start + i) ?? (arena ? initialOf(arena, start + i) : mix('junk', start + i)),
      set: (i, value) => memory.set(start + i, value),
    };
  };
  const read = (place: Place, elements: number): number[] =>
    Array.from({ length: elements }, (_, index) => cellsOf(place).get(index));
  for (const [name, { place, shape }] of program.inputs) {
    const elements = shape.reduce((a, b) => a * b, 1);
    for (let i = 0; i < elements; i++) cellsOf(place).set(i, inputOf(name, i));
  }
  const overlaps: string[] = [];
  for (const each of program.calls) {
    const spec = specOf(each.instruction).operands;
    const places = Object.entries(each.operands).flatMap(([name, place]) => (place ? [{ name, ...at(place) }] : []));
    for (const written of places) {
      const operand = spec[written.name] as OperandSpec;
      if (operand.access === 'read') continue;
      const touched = new Set(offsetsOf(operand, each.dims).map((offset) => written.start + offset));
      for (const other of places) {
        if (other === written || other.memory !== written.memory) continue;
        if (operand.mayReplace === other.name && other.start === written.start) continue;
        const hit = offsetsOf(spec[other.name] as OperandSpec, each.dims).some((o) => touched.has(other.start + o));
        if (hit) overlaps.push(`${each.instruction}: ${written.name} over ${other.name}`);
      }
    }
    execute(each, (name) => cellsOf(each.operands[name] as Place));
  }
  return {
    outputs: Object.fromEntries(
      [...program.outputs].map(([name, { place, shape }]) => [
        name,
        read(
          place,
          shape.reduce((a, b) => a * b, 1),
        ),
      ]),
    ),
    variables: Object.fromEntries(variables.map((v) => [v.toString(), read({ variable: v, offset: 0 }, v.elements)])),
    overlaps,
  };
}
