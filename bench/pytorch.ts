/** The same training steps by PyTorch on one thread, where a Python that has it is given. */
import { fileURLToPath } from 'node:url';
import type { Cell } from './cells.js';
import { type Failure, runProcess } from './jobs.js';

const script = fileURLToPath(new URL('../../bench/pytorch_lstm.py', import.meta.url));

/** What bench/pytorch_lstm.py prints. */
export interface PytorchTimes {
  /** Of every step, by the fastest of several forms of the same step. */
  readonly milliseconds: readonly number[];
  /** PyTorch's version, the library its matrix products come from, the form of the step. */
  readonly version: string;
  readonly blas: string;
  readonly form: string;
}

export interface PytorchOptions {
  /** The Python to run. */
  readonly python: string;
  /** A library of matrix products for LD_PRELOAD. */
  readonly preload?: string | undefined;
}

export function runPytorch(
  { hiddenSize, batch, time, vocabularySize }: Cell,
  { python, preload }: PytorchOptions,
  seconds: number,
): Promise<PytorchTimes | Failure> {
  const sizes = { hidden: hiddenSize, batch, time, vocabulary: vocabularySize, seconds };
  const args = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const oneThread = { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  return runProcess(python, [script, ...args], {
    ...oneThread,
    ...(preload === undefined ? {} : { LD_PRELOAD: preload }),
  });
}
