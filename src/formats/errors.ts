/** A file whose bytes are not what its format says, or not what its reader needs. */
export class FormatError extends Error {
  readonly code = 'ERR_SEQGRAD_FORMAT';
  override readonly name = 'FormatError';

  constructor(
    readonly file: string,
    /** The tensor or field concerned, or undefined for the file as a whole. */
    readonly tensor: string | undefined,
    expected: string,
    received: string,
    options?: ErrorOptions,
  ) {
    const where = tensor === undefined ? file : `${file}: tensor \`${tensor}\``;
    super(`${where}: Expected ${expected} but received ${received}`, options);
  }
}

/** A file or folder that the system would not let us read or write. */
export class FileError extends Error {
  readonly code = 'ERR_SEQGRAD_FILE';
  override readonly name = 'FileError';

  constructor(
    action: 'read' | 'write',
    readonly path: string,
    override readonly cause: unknown,
  ) {
    super(`Expected to ${action} ${path} but ${reason(cause)}`, { cause });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission was denied',
  EPERM: 'permission was denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'a file is in the way',
  ENOSPC: 'the disk is full',
};

function reason(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  return reasons[code ?? ''] ?? `it failed: ${message}`;
}
