/**
 * Nothing is timed that is wrong: the first training steps must agree with those of another backend. On a smaller shape that is the
 * reference in float64; on the shape that is measured, where the reference would take too long, the best other backend.
 */
import type { Backend } from '../backends/executor.js';
import type { Dtype } from '../program/dtype.js';
import { type Cell, creditedFlops, describeCell, smaller } from './models.js';
import { type Sketch, sketchDisagreement, sketchOf } from './sketch.js';
import type { Subject } from './subjects.js';
import { startTraining, type Training } from './training.js';

export interface FirstSteps {
  readonly steps: readonly { readonly loss: number; readonly gradientNorm: number }[];
  /** Of every parameter, in the first step. */
  readonly gradients: readonly Sketch[];
}

/** What the first steps of a cell must be. */
export interface Expectation {
  readonly cell: Cell;
  readonly steps: FirstSteps;
  /** Whose steps they are: `the reference`. */
  readonly by: string;
  /** Whether they are of float64; else they are as rounded as those that are compared with them. */
  readonly exact: boolean;
}

/** Three: the second sees the first update and the carried state, the third sees moments that are not fresh. */
const STEPS = 3;

/**
 * Of gradients: what DESIGN and the golden tests allow float32 against float64, ‖a − b‖ relative to ‖b‖. Of losses and norms: largest
 * relative difference. Backends that are right are about 1e-7 apart; the norm is given more, because updates divide by the
 * magnitude of gradients, also of those that are nothing but rounding. In bfloat16 a factor that lies as near to a tie as float32 is
 * exact is rounded to either side, which are 2⁻⁸ apart: that makes gradients up to 1.5e-4 different in steps of BERT. Exact products
 * instead make them 4e-3 different.
 *
 * Beside numbers that are as rounded, twice as much. In bfloat16 there, on shapes of any depth, what is rounded to the other side
 * makes the next layer round others so: gradients of BERT 512 × 4 in two orders of sums are up to 4e-3 apart, each as far from exact ones.
 */
const TOLERANCES = {
  exact: {
    float32: { gradients: 2e-5, loss: 1e-6, gradientNorm: 1e-5 },
    bfloat16: { gradients: 1e-3, loss: 5e-5, gradientNorm: 5e-4 },
  },
  rounded: {
    float32: { gradients: 4e-5, loss: 2e-6, gradientNorm: 2e-5 },
    bfloat16: { gradients: 8e-3, loss: 1e-4, gradientNorm: 1e-3 },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<Dtype, object>>>>;

/** The reference gets through so many operations in about a second. */
const REFERENCE_FLOPS = 2e8;

/** Cells that a subject is verified on, and whether the reference can do it. */
export function verifications(cell: Cell): { readonly cell: Cell; readonly byReference: boolean }[] {
  if (creditedFlops(cell) <= REFERENCE_FLOPS) return [{ cell, byReference: true }];
  return [
    { cell: smaller(cell), byReference: true },
    { cell, byReference: false },
  ];
}

export async function takeFirstSteps({ model, trainer, batches }: Training): Promise<FirstSteps> {
  const steps = await trainer.fit(batches, { steps: 1 });
  const gradients: Sketch[] = [];
  for (const variable of trainer.arenas[0]?.variables ?? []) {
    gradients.push(sketchOf(variable.name, await model.engine.read(variable)));
  }
  steps.push(...(await trainer.fit(batches, { steps: STEPS - 1 })));
  return { steps: steps.map(({ loss, gradientNorm }) => ({ loss, gradientNorm })), gradients };
}

export async function firstSteps(cell: Cell, backend: Backend): Promise<FirstSteps> {
  const training = await startTraining(cell, backend);
  try {
    return await takeFirstSteps(training);
  } finally {
    await training.model.engine.close();
  }
}

/** A backend that computes something else than it should. */
export class WrongResultError extends Error {
  readonly code = 'ERR_SEQGRAD_WRONG';
  override readonly name = 'WrongResultError';

  constructor(what: string) {
    super(`not timed, because it is wrong: ${what}`);
  }
}

/**
 * A training whose backend has met every expectation, and whose own first steps are among those that were looked at where one of
 * them is for this very cell.
 * @throws WrongResultError saying which number is not right.
 */
export async function startVerified(
  cell: Cell,
  backend: Backend,
  expectations: readonly Expectation[],
): Promise<Training> {
  const training = await startTraining(cell, backend);
  for (const expectation of expectations) {
    const isThis = JSON.stringify(expectation.cell) === JSON.stringify(cell);
    const steps = isThis ? await takeFirstSteps(training) : await firstSteps(expectation.cell, backend);
    const disagreement = findDisagreement(expectation, steps);
    if (disagreement !== undefined) throw new WrongResultError(disagreement);
  }
  return training;
}

/** What differs, in words; undefined where everything agrees. */
export function findDisagreement({ cell, steps, by, exact }: Expectation, actual: FirstSteps): string | undefined {
  const tolerance = TOLERANCES[exact ? 'exact' : 'rounded'][cell.dtype];
  const where = `${describeCell(cell)}, compared with ${by}`;
  const gradient = sketchDisagreement(steps.gradients, actual.gradients, tolerance.gradients);
  if (gradient !== undefined) return `step 1: the gradient of ${gradient} (${where})`;
  for (const [index, expected] of steps.steps.entries()) {
    for (const name of ['loss', 'gradientNorm'] as const) {
      const [wanted, found] = [expected[name], actual.steps[index]?.[name] ?? Number.NaN];
      const difference = Math.abs(found - wanted) / Math.abs(wanted);
      const limit = tolerance[name];
      if (difference <= limit) continue; // NaN does not
      const off = `${difference.toExponential(1)} apart, at most ${limit} is right`;
      return `step ${index + 1}: ${name} is ${found} but should be ${wanted} (${off}; ${where})`;
    }
  }
  return undefined;
}

/** Who can tell whether a subject is right on a shape that is too large for the reference: one of another backend. */
export const witnessFor = ({ isa }: Pick<Subject, 'isa'>, usable: readonly Subject[]): Subject | undefined => {
  const isWasm = isa.startsWith('wasm-');
  return usable.find((other) => other.isa.startsWith('wasm-') !== isWasm);
};
