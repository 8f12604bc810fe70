/** Ctrl-C: the first one asks the work to stop at a good point, the second one ends the process. */

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives Ctrl-C its usual meaning back. */
  restore(): void;
}

export function onInterrupt(message: string): Interruption {
  const controller = new AbortController();
  const handle = (): void => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write(`\n${message}\n`);
    controller.abort();
  };
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  const restore = (): void => {
    process.off('SIGINT', handle);
    process.off('SIGTERM', handle);
  };
  return { signal: controller.signal, restore };
}
