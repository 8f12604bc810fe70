/** Tensors as the definitions see them: an operand of a call, addressed by its axes instead of by heap offsets. */
import type { AnyCall, Call } from '../../program/encode.js';
import { evaluate } from '../../program/expression.js';
import { type InstructionName, type OperandSpec, specOf } from '../../program/instructions.js';
import type { HeapViews } from '../heap.js';

/** Where an operand lies: its first element and one stride per axis, in elements. */
interface Placement {
  readonly name: string;
  readonly view: keyof HeapViews;
  readonly start: number;
  readonly strides: readonly number[];
}

/** An operand with up to four axes. What is stored in a float32 heap is rounded by the store. */
export class Tensor {
  readonly #elements: HeapViews['floats' | 'ints'];
  readonly #start: number;
  readonly #stride0: number;
  readonly #stride1: number;
  readonly #stride2: number;
  readonly #stride3: number;

  constructor(views: HeapViews, { view, start, strides }: Omit<Placement, 'name'>) {
    this.#elements = views[view];
    this.#start = start;
    [this.#stride0 = 0, this.#stride1 = 0, this.#stride2 = 0, this.#stride3 = 0] = strides;
  }

  #index(i: number, j: number, k: number, l: number): number {
    return this.#start + i * this.#stride0 + j * this.#stride1 + k * this.#stride2 + l * this.#stride3;
  }

  at(i: number, j = 0, k = 0, l = 0): number {
    return this.#elements[this.#index(i, j, k, l)] as number;
  }

  set(value: number, i: number, j = 0, k = 0, l = 0): void {
    this.#elements[this.#index(i, j, k, l)] = value;
  }

  add(value: number, i: number, j = 0, k = 0, l = 0): void {
    this.set(this.at(i, j, k, l) + value, i, j, k, l);
  }
}

/** What an instruction does, in plain TypeScript. */
export type Definition<I extends InstructionName> = (call: Call<Tensor, I>) => void;

function stridesOf({ shape, strides }: OperandSpec, dims: Readonly<Record<string, number>>): number[] {
  if (strides !== undefined) return strides.map((stride) => evaluate(stride, dims));
  const dense = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    dense[axis] = (dense[axis + 1] as number) * evaluate(shape[axis + 1] as string, dims);
  }
  return dense;
}

/** Resolves the operands of a call once; the function returned binds them to views, which change when the heap grows. */
export function bindable(call: AnyCall<number>): (views: HeapViews) => AnyCall<Tensor> {
  const placements: Placement[] = [];
  for (const [name, operand] of Object.entries(specOf(call.instruction).operands)) {
    const start = call.operands[name];
    if (start === undefined) continue;
    const view = operand.type === 'i32' ? 'ints' : 'floats';
    placements.push({ name, view, start, strides: stridesOf(operand, call.dims) });
  }
  return (views) => ({
    ...call,
    operands: Object.fromEntries(placements.map((placement) => [placement.name, new Tensor(views, placement)])),
  });
}
