/** What the host offers beyond the language: Node's modules where there are any, workers, memory that threads share. */

/**
 * A module of Node, or undefined elsewhere. An import would stop bundlers for the browser and pages without one.
 */
export const builtin = <Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined =>
  globalThis.process?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;

interface NodeModules {
  'node:fs': typeof import('node:fs');
  'node:fs/promises': typeof import('node:fs/promises');
  'node:module': typeof import('node:module');
  'node:os': typeof import('node:os');
  'node:url': typeof import('node:url');
  'node:worker_threads': typeof import('node:worker_threads');
}

/** Why threads cannot share memory here; undefined where they can. */
export function whyNotShared(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined' || globalThis.crossOriginIsolated === false) {
    return 'no shared memory, because this page is not cross-origin isolated';
  }
  return undefined;
}
