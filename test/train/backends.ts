/** The backends that whole trainings are tried on. */
import test, { type ExecutionContext } from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { loadBackend } from '../../src/backends/select.js';

const asked = [{ backend: 'native' }, { backend: 'wasm' }, { backend: 'reference' }] as const;

export interface Tried {
  readonly name: string;
  readonly backend: Backend | undefined;
  readonly cause: string;
}

export const tried: readonly Tried[] = await Promise.all(
  asked.map(async (options) => {
    const found = await loadBackend(options).catch((error: Error) => error.message.replaceAll('\n', ' '));
    return typeof found === 'string'
      ? { name: options.backend, backend: undefined, cause: found }
      : { name: options.backend, backend: found, cause: '' };
  }),
);

export const backends: readonly Backend[] = tried.flatMap(({ backend }) => (backend === undefined ? [] : [backend]));

type Run = (t: ExecutionContext, backend: Backend) => Promise<void>;

/** A test for every backend that works here; the others are skipped, with the cause. */
export const onEvery = (title: string, run: Run): void => onEach(tried, title, run);

/** The same without the reference: for what takes so many steps that nobody would wait for it. */
export const onFast = (title: string, run: Run): void =>
  onEach(
    tried.filter(({ name }) => name !== 'reference'),
    title,
    run,
  );

function onEach(which: readonly Tried[], title: string, run: Run): void {
  for (const { name, backend, cause } of which) {
    if (backend === undefined) test.skip(`${title} (${name}) (skipped: ${cause})`, () => {});
    else test(`${title} (${name})`, (t) => run(t, backend));
  }
}
