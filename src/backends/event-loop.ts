/** Lets timers, I/O and signals have their turn between two pieces of work on the same thread. */

/** How long work may go on before others get a turn. */
const TURN_MILLISECONDS = 5;

let last = 0;

export async function yieldToEventLoop(): Promise<void> {
  if (performance.now() - last < TURN_MILLISECONDS) return;
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
  last = performance.now();
}
