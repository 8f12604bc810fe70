/** An executor with the operands of one instruction in a row, to run that instruction over and over. */
import { type Backend, type Executor, RESERVED_ELEMENTS, type Result, type Values } from '../backends/executor.js';
import { extent } from '../program/check.js';
import { type AnyCall, encode } from '../program/encode.js';
import { type InstructionName, type OperandSpec, specOf } from '../program/instructions.js';
import { aligned } from '../program/variable.js';

/** An instruction and its sizes. */
export interface Scene {
  readonly instruction: InstructionName;
  readonly dims: Readonly<Record<string, number>>;
  readonly scalars?: Readonly<Record<string, number>>;
  /** Optional operands that are not there. */
  readonly absent: readonly string[];
}

export interface StageOperand {
  readonly name: string;
  readonly spec: OperandSpec;
  readonly offset: number;
  readonly elements: number;
}

export class Stage {
  readonly operands: readonly StageOperand[];
  readonly call: AnyCall<number>;
  readonly executor: Executor;
  readonly #end: number;

  constructor({ instruction, dims, scalars = {}, absent }: Scene, backend: Backend) {
    let offset = RESERVED_ELEMENTS;
    const operands: StageOperand[] = [];
    for (const [name, spec] of Object.entries(specOf(instruction).operands)) {
      if (absent.includes(name)) continue;
      const elements = extent(spec, dims);
      operands.push({ name, spec, offset, elements });
      offset += aligned(elements);
    }
    this.operands = operands;
    this.#end = offset;
    const offsets = Object.fromEntries(operands.map((operand) => [operand.name, operand.offset]));
    this.call = { instruction, operands: offsets, dims, scalars };
    this.executor = backend.createExecutor();
  }

  /** Gives the operands their memory and fills them. */
  async fill(valuesOf: (operand: StageOperand) => Values): Promise<void> {
    await this.executor.grow(this.#end);
    for (const operand of this.operands) {
      await this.executor.write(operand.offset, operand.spec.type ?? 'f32', valuesOf(operand));
    }
  }

  /** A program of the instruction, so often. */
  async load(times: number): Promise<() => Promise<void>> {
    const program = await this.executor.load(encode(Array.from({ length: times }, () => this.call)), this.#end);
    return () => program.run();
  }

  read(operand: StageOperand): Promise<Result> {
    return this.executor.read(operand.offset, 'f32', operand.elements);
  }

  operand(name: string): StageOperand {
    const found = this.operands.find((operand) => operand.name === name);
    if (found === undefined) throw new Error(`Expected an operand ${name} of ${this.call.instruction}`);
    return found;
  }

  close(): Promise<void> {
    return this.executor.close();
  }
}
