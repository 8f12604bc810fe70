/**
 * Windows of contiguous streams, for truncated backpropagation through time with carried state (Williams & Peng 1990).
 *
 * The tokens are cut into `batch` (B) equally long streams, row b of every batch reading stream b. Window w holds the positions
 * w·k₁ … w·k₁ + k₂ − 1 of each stream, and a label is the token after its input. With k₁ = k₂ row b of window w + 1 goes on exactly where
 * row b of window w ended, and the recurrent state can be carried from one to the next. With k₁ < k₂ windows overlap: the state is
 * carried from after the first k₁ steps, and labels that the window before has had are ignored, so that every label counts once.
 */

import { DataError } from './errors.js';
import { IGNORED } from './ignored.js';

export interface StreamOptions {
  /** Streams side by side, B. */
  readonly batch: number;
  /** Time steps of a window, T = k₂. */
  readonly window: number;
  /** Steps from one window to the next, k₁. Default: `window`. */
  readonly step?: number | undefined;
  /** The token that ends a document: the one after it is read with a state that starts anew. */
  readonly documentEnd?: number | undefined;
}

export interface Window {
  /** Input tokens, time-major [T, B]. */
  readonly inputs: Int32Array<ArrayBuffer>;
  /** The token that follows each input, [T, B]; −100 where the window before has had it. */
  readonly labels: Int32Array<ArrayBuffer>;
  /** Labels that count. */
  readonly labelCount: number;
  /** Time steps; less than asked for only in the last window of {@link evaluationWindows}. */
  readonly steps: number;
  /** Whether the streams begin here, so that the state must start anew. */
  readonly first: boolean;
  /** [T, B], 1 where a document begins; absent where no token ends documents. */
  readonly resets?: Int32Array<ArrayBuffer>;
  /** Steps after which the state is the next window's, where that is not all of them. */
  readonly carry?: number;
}

function checkOptions({ batch, window, step = window }: StreamOptions): void {
  for (const [name, value] of Object.entries({ batch, window, step })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new DataError(`Expected \`${name}\` to be a whole number from 1 but received ${value}`);
    }
  }
  if (step > window) throw new DataError(`Expected \`step\` to be at most the window, ${window}, but received ${step}`);
}

/** Length of each stream in inputs: every input has its label, so one token is left at the end. */
function streamLength(tokens: Int32Array, batch: number): number {
  return Math.floor((tokens.length - 1) / batch);
}

interface Cut {
  readonly start: number;
  readonly steps: number;
  /** Steps at the beginning whose labels the window before has had. */
  readonly had: number;
  readonly documentEnd: number | undefined;
}

function windowAt(tokens: Int32Array, batch: number, { start, steps, had, documentEnd }: Cut): Window {
  const stream = streamLength(tokens, batch);
  const inputs = new Int32Array(steps * batch);
  const labels = new Int32Array(steps * batch);
  const resets = documentEnd === undefined ? undefined : new Int32Array(steps * batch);
  for (let t = 0; t < steps; t++) {
    for (let b = 0; b < batch; b++) {
      const index = t * batch + b;
      const position = b * stream + start + t;
      inputs[index] = tokens[position] as number;
      labels[index] = t < had ? IGNORED : (tokens[position + 1] as number);
      if (resets !== undefined) resets[index] = Number(position > 0 && tokens[position - 1] === documentEnd);
    }
  }
  const cut = { inputs, labels, labelCount: (steps - had) * batch, steps, first: start === 0 };
  return resets === undefined ? cut : { ...cut, resets };
}

/**
 * Full windows (the rest of a stream that fills no window is left out) in one pass over the tokens.
 * @throws DataError if the text is shorter than one window, saying how many characters it takes and what to lower.
 */
export function windowsPerPass(tokens: Int32Array, options: StreamOptions): number {
  checkOptions(options);
  const { batch, window, step = window } = options;
  const count = Math.floor((streamLength(tokens, batch) - window) / step) + 1;
  if (count < 1) {
    const needed = `${batch * window + 1} characters (batch ${batch} · window ${window} + 1)`;
    throw new DataError(
      `Expected a text of at least ${needed} but received ${tokens.length}: lower \`batch\` or \`window\``,
    );
  }
  return count;
}

/**
 * Windows for training, pass after pass without end, all full.
 * @param from the window to begin with, counted from 0 over all passes: where an interrupted training goes on.
 * @throws DataError as {@link windowsPerPass}
 */
export function* trainingWindows(tokens: Int32Array, options: StreamOptions, from = 0): Generator<Window, never, void> {
  const count = windowsPerPass(tokens, options);
  const { batch, window, step = window, documentEnd } = options;
  for (let index = from; ; index++) {
    const start = (index % count) * step;
    const cut = windowAt(tokens, batch, { start, steps: window, had: start === 0 ? 0 : window - step, documentEnd });
    yield step === window ? cut : { ...cut, carry: step };
  }
}

/**
 * Windows for one pass in which every stream is predicted to its end: the last window may be shorter.
 * @throws DataError if there is not even one token to predict in each stream.
 */
export function* evaluationWindows(
  tokens: Int32Array,
  { batch, window, documentEnd }: Omit<StreamOptions, 'step'>,
): Generator<Window, void, void> {
  checkOptions({ batch, window });
  const stream = streamLength(tokens, batch);
  if (stream < 1) {
    const needed = `${batch + 1} characters (batch ${batch} + 1)`;
    throw new DataError(`Expected a text of at least ${needed} but received ${tokens.length}: lower \`batch\``);
  }
  for (let start = 0; start < stream; start += window) {
    yield windowAt(tokens, batch, { start, steps: Math.min(window, stream - start), had: 0, documentEnd });
  }
}
