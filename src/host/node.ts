/**
 * The one way to Node's own modules for whatever is reachable from index.ts: got when they are needed, since an import would stop
 * pages and bundlers for them.
 */

interface NodeModules {
  'node:fs': typeof import('node:fs');
  'node:fs/promises': typeof import('node:fs/promises');
  'node:module': typeof import('node:module');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:url': typeof import('node:url');
  'node:worker_threads': typeof import('node:worker_threads');
}

/** A module of Node, or undefined where there is no Node (nor what passes for it, such as Deno or Bun). */
export const builtin = <Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined =>
  globalThis.process?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;

/** Files were asked for where there are none. */
export class HostError extends Error {
  readonly code = 'ERR_SEQGRAD_HOST';
  override readonly name = 'HostError';
}

/** A function of a module of Node that says so where there is no Node. */
function lazily<Name extends keyof NodeModules, Key extends keyof NodeModules[Name]>(
  name: Name,
  key: Key,
): NodeModules[Name][Key] {
  const call = (...args: unknown[]): unknown => {
    const module = builtin(name);
    if (module === undefined) throw new HostError('Expected Node to read and write files, but this is another host');
    return (module[key] as (...args: unknown[]) => unknown)(...args);
  };
  return call as NodeModules[Name][Key];
}

export const unlinkSync = lazily('node:fs', 'unlinkSync');
export const access = lazily('node:fs/promises', 'access');
export const mkdir = lazily('node:fs/promises', 'mkdir');
export const open = lazily('node:fs/promises', 'open');
export const readdir = lazily('node:fs/promises', 'readdir');
export const readFile = lazily('node:fs/promises', 'readFile');
export const rename = lazily('node:fs/promises', 'rename');
export const rm = lazily('node:fs/promises', 'rm');
export const stat = lazily('node:fs/promises', 'stat');
export const basename = lazily('node:path', 'basename');
export const dirname = lazily('node:path', 'dirname');
export const join = lazily('node:path', 'join');

/** fs.constants.W_OK: for asking whether something can be written. */
export const W_OK = 2;
