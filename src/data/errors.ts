/** Data that cannot be used as it is: a file that is not text, a character the vocabulary lacks, too little to fill a window. */
export class DataError extends Error {
  readonly code = 'ERR_SEQGRAD_DATA';
  override readonly name = 'DataError';
}
