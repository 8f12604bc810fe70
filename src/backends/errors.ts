/** Errors on their way from one thread to another: class and message arrive. */
import { MalformedProgramError } from '../program/check.js';
import { OutOfMemoryError } from './executor.js';
import { ProgramTrappedError } from './wasm-loader.js';

export interface PackedError {
  readonly name: string;
  readonly message: string;
  readonly cause?: PackedError;
}

type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

const classes: Readonly<Record<string, ErrorClass>> = {
  MalformedProgramError,
  OutOfMemoryError,
  ProgramTrappedError,
  RangeError,
  TypeError,
};

export function pack(error: unknown): PackedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, cause } = error;
  return { name, message, ...(cause === undefined ? {} : { cause: pack(cause) }) };
}

export function unpack({ name, message, cause }: PackedError): Error {
  const known = classes[name] ?? Error;
  return new known(message, cause === undefined ? undefined : { cause: unpack(cause) });
}
