/**
 * Checks a gradient against central differences in float64: along a random direction v of the inputs, with a random cotangent u
 * of the outputs, u·(f(x + εv) − f(x − εv)) / 2ε must be gradient·v. One number says it all, and it is not vacuous: a sum of
 * outputs (u = 1) hides what a softmax does, a random u does not. (After `check_vjp` of JAX.)
 */
import { type InstructionName, specOf } from '../../src/program/instructions.js';
import { reference } from './bench.js';
import { type Case, isOutput, operandsOf, type Values } from './case.js';
import { type Random, randomFrom } from './random.js';

/** Named arrays of numbers. */
export type Arrays = Readonly<Record<string, Float64Array>>;

interface Float64Call {
  readonly instruction: InstructionName;
  readonly dims: Readonly<Record<string, number>>;
  readonly scalars?: Readonly<Record<string, number>>;
  /** `read`, `accumulate` and `update` operands. Optional ones that are left out are absent; all others are there. */
  readonly inputs: Arrays;
}

/** Runs one instruction on the float64 reference. */
export async function run64({ instruction, dims, scalars = {}, inputs }: Float64Call): Promise<Arrays> {
  const absent = Object.entries(specOf(instruction).operands)
    .filter(([name, { access, optional }]) => optional && access === 'read' && inputs[name] === undefined)
    .map(([name]) => name);
  const call: Case = { title: instruction, instruction, dims, scalars, absent, fillings: {}, isUndefined: () => false };
  const wanted = operandsOf(call).filter((operand) => operand.spec.access !== 'write');
  const values: Values = new Map(
    wanted.map(({ name, extent, spec }) => {
      const value =
        inputs[name] ??
        (isOutput({ name, extent, spec, touched: new Uint8Array() }) ? new Float64Array(extent) : undefined);
      if (value?.length !== extent)
        throw new RangeError(`${instruction}: Expected ${extent} elements of ${name} but received ${value?.length}`);
      return [name, value];
    }),
  );
  return Object.fromEntries(await reference(call, values));
}

export const randomArray = (random: Random, length: number): Float64Array =>
  Float64Array.from({ length }, () => 2 * random.uniform() - 1);

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));

export interface GradientCheck {
  readonly title: string;
  readonly inputs: Arrays;
  /** The inputs with a gradient. */
  readonly wrt: readonly string[];
  /** Cotangents, by output. */
  readonly cotangents: Arrays;
  /** The outputs that have a cotangent. */
  readonly value: (inputs: Arrays) => Promise<Arrays>;
  /** The gradient of Σ cotangent · output, by input. */
  readonly gradient: (inputs: Arrays, cotangents: Arrays) => Promise<Arrays>;
}

const EPSILON = 1e-5;

/** |difference quotient − gradient·v| / ‖gradient‖, for every input with a gradient; NaN where the gradient is all zero. */
export async function gradientErrors({
  title,
  inputs,
  wrt,
  cotangents,
  value,
  gradient,
}: GradientCheck): Promise<Record<string, number>> {
  const random = randomFrom(title);
  const gradients = await gradient(inputs, cotangents);
  const errors: Record<string, number> = {};
  for (const name of wrt) {
    const [x, dx] = [inputs[name], gradients[name]] as [Float64Array, Float64Array];
    const direction = randomArray(random, x.length);
    const loss = async (step: number): Promise<number> => {
      const outputs = await value({
        ...inputs,
        [name]: x.map((element, i) => element + step * (direction[i] as number)),
      });
      return Object.entries(cotangents).reduce((sum, [output, u]) => sum + dot(u, outputs[output] as Float64Array), 0);
    };
    const numeric = ((await loss(EPSILON)) - (await loss(-EPSILON))) / (2 * EPSILON);
    errors[name] = Math.abs(numeric - dot(dx, direction)) / norm(dx);
  }
  return errors;
}

/** Differences have an error of ε² and of rounding / ε, each about 1e-10 here. */
const TOLERANCE = 1e-7;

/** The inputs whose gradient is wrong, in words. */
export async function wrongGradients(check: GradientCheck): Promise<string[]> {
  const errors = Object.entries(await gradientErrors(check));
  return errors
    .filter(([, error]) => !(error < TOLERANCE))
    .map(([name, error]) => `${check.title}: d${name} is off by ${error}`);
}
