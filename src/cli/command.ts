/** What every command shares: the options that choose a backend, values of options, and how errors are shown. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Backend } from '../backends/executor.js';
import { type BackendOptions, loadBackend } from '../backends/select.js';
import { OptionError } from '../program/options.js';

/** The options that {@link withBackend} adds. */
export type BackendFlags = { backend?: string; isa?: string; numerics?: string; threads?: number };

const number = (text: string): number => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError(`Expected a number but received "${text}".`);
  return value;
};

/** Parses an option's value as a number from `from`, whole where `whole` is set. */
export const numberOption =
  ({ from, whole = false, below }: { from?: number; whole?: boolean; below?: number } = {}) =>
  (text: string): number => {
    const value = number(text);
    const fits =
      (from === undefined || value >= from) &&
      (below === undefined || value < below) &&
      (!whole || Number.isSafeInteger(value));
    if (fits) return value;
    const range = `${whole ? 'a whole number' : 'a number'}${from === undefined ? '' : ` from ${from}`}`;
    throw new InvalidArgumentError(
      `Expected ${range}${below === undefined ? '' : ` to below ${below}`} but received ${text}.`,
    );
  };

/** Parses an option's value as a number above 0, Infinity only where `infinite` is set. */
export const positive =
  ({ infinite = false } = {}) =>
  (text: string): number => {
    const value = number(text);
    if (value > 0 && (infinite || Number.isFinite(value))) return value;
    throw new InvalidArgumentError(`Expected a ${infinite ? '' : 'finite '}number above 0 but received ${text}.`);
  };

/** Collects the values of an option that may be given several times. */
export const several = (value: string, previous: readonly string[] | undefined): string[] => [
  ...(previous ?? []),
  value,
];

/**
 * The value of an option that must be given. Commander's own required options hide a misspelt one: it would say that `--text` is missing
 * where `--txt` was given.
 * @throws OptionError
 */
export function required<T>(value: T | undefined, usage: string): T {
  if (value === undefined) throw new OptionError(`Expected ${usage}: see --help`);
  return value;
}

/** Adds `--backend`, `--isa`, `--numerics` and `--threads`. */
export function withBackend(command: Command): Command {
  return command
    .optionsGroup('Backend:')
    .option('--backend <name>', 'auto, native, wasm or reference (default: SEQGRAD_BACKEND, else auto)')
    .option(
      '--isa <name>',
      'one instruction set: sse2, avx2, avx512, amx, neon, wasm-simd, wasm-relaxed, float32, float64',
    )
    .option('--numerics <kind>', 'fast, or strict: the same bits on every backend (default: fast)')
    .option(
      '--threads <n>',
      'threads to work on (default: SEQGRAD_THREADS, else what this process may use)',
      numberOption({ from: 1, whole: true }),
    );
}

export const backendOptions = ({ backend, isa, numerics, threads }: BackendFlags): BackendOptions =>
  ({ backend, isa, numerics, threads }) as BackendOptions;

export const backendFrom = (flags: BackendFlags): Promise<Backend> => loadBackend(backendOptions(flags));

/** One line for a backend: `native avx512, fast, 1 thread`. */
export const nameOf = ({ name, isa, numerics, threads }: Backend): string =>
  `${name} ${isa}, ${numerics} numerics, ${threads} thread${threads === 1 ? '' : 's'}`;

const bfloat16Texts = {
  amx: "by the processor's matrix unit (AMX-BF16)",
  'avx512-bf16': 'by the processor (AVX512-BF16)',
  emulated: 'emulated, which is slower than float32',
} as const;

/** How products of bfloat16 numbers are computed. */
export const bfloat16Text = ({ bfloat16 }: Backend): string => bfloat16Texts[bfloat16];

/** Whether an error tells a user what to change, so that its message is all that is shown. */
function isForUsers(error: unknown): error is Error {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && code.startsWith('ERR_SEQGRAD');
}

/** Shows an error and makes the process end with exit code 1. */
export function fail(error: unknown): void {
  process.exitCode = 1;
  if (isForUsers(error)) process.stderr.write(`seqgrad: ${error.message}\n`);
  else
    process.stderr.write(
      `seqgrad: unexpected error, please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
}
