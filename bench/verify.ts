/** Nothing is timed that is wrong: the first steps must agree with those of the reference backend in float32. */
import type { Backend } from '../src/backends/executor.js';
import { type Cell, startTraining, type Training } from './cells.js';

export interface FirstStep {
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
}

/** Three: the second sees the first update and the carried state, the third sees moments that are not fresh. */
const STEPS = 3;

/**
 * Largest relative difference. Backends that are right are about 1e-7 apart, one unit in the last place; the norm is given more,
 * because updates divide by the magnitude of gradients, also of those that are nothing but rounding.
 */
const TOLERANCE = { loss: 1e-6, gradientNorm: 1e-5 } as const;

/** Takes the first steps of a training. */
async function takeFirstSteps({ trainer, batches }: Training): Promise<FirstStep[]> {
  const steps = await trainer.fit(batches, { steps: STEPS });
  return steps.map(({ loss, gradientNorm }) => ({ loss, gradientNorm }));
}

export const firstSteps = async (cell: Cell, backend: Backend): Promise<FirstStep[]> =>
  takeFirstSteps(await startTraining(cell, backend));

/** A backend that computes something else than the reference. */
export class WrongResultError extends Error {
  override readonly name = 'WrongResultError';
}

/**
 * A training whose first steps are taken and right.
 * @throws WrongResultError saying which number is not.
 */
export async function startVerified(cell: Cell, backend: Backend, expected: readonly FirstStep[]): Promise<Training> {
  const training = await startTraining(cell, backend);
  const disagreement = findDisagreement(expected, await takeFirstSteps(training));
  if (disagreement !== undefined) throw new WrongResultError(`not timed, because it is wrong: ${disagreement}`);
  return training;
}

/** What differs, in words; undefined where everything agrees. */
function findDisagreement(expected: readonly FirstStep[], actual: readonly FirstStep[]): string | undefined {
  for (const [index, reference] of expected.entries()) {
    for (const name of ['loss', 'gradientNorm'] as const) {
      const [wanted, found] = [reference[name], actual[index]?.[name] ?? Number.NaN];
      const difference = Math.abs(found - wanted) / Math.abs(wanted);
      if (difference <= TOLERANCE[name]) continue; // NaN does not
      const limit = `${difference.toExponential(1)} apart, at most ${TOLERANCE[name]} is right`;
      return `step ${index + 1}: ${name} is ${found} but the reference has ${wanted} (${limit})`;
    }
  }
  return undefined;
}
