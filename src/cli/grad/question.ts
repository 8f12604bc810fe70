/** What `seqgrad grad` is asked, whatever the model. */
import type { Backend } from '../../backends/executor.js';
import type { NamedArray } from '../../inspect/named-arrays.js';

export interface Question {
  readonly config: Readonly<Record<string, unknown>>;
  readonly configFile: string;
  readonly tensorsFile: string;
  /** Whether numbers keep all 64 bits. */
  readonly wide: boolean;
  readonly backend: Backend;
  readonly inspect: boolean;
}

/** Reads and checks the tensors, and computes outputs and gradients. @throws FileError, FormatError */
export type GradientsOf = (question: Question) => Promise<ReadonlyMap<string, NamedArray>>;
