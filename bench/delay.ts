/** `npm run bench -- delay`: how late a timer of 1 ms is in the main thread while an LSTM with H = 512 trains, and while nothing does. */
import type { Command } from 'commander';
import type { Backend } from '../src/backends/executor.js';
import { loadBackend } from '../src/backends/select.js';
import { describeInLines, describeMachine } from '../src/bench/machine.js';
import { type Cell, cellOf } from '../src/bench/models.js';
import { quantile } from '../src/bench/statistics.js';
import { startTraining } from '../src/bench/training.js';
import { formatNumber, formatTable } from '../src/cli/bench/table.js';
import { positive } from '../src/cli/command.js';

/** How late timers were, in milliseconds. */
interface DelayRow {
  readonly name: string;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly timers: number;
  /** Steps of training meanwhile. */
  readonly steps: number;
}

const large: Cell = cellOf('lstm', { hidden: 512, layers: 1, vocabulary: 96, batch: 32, time: 64 });

/** Sets one timer after the other until it is told to end. */
function watchTimers(): () => readonly number[] {
  const delays: number[] = [];
  let timer: NodeJS.Timeout;
  const next = (): void => {
    const due = performance.now() + 1;
    timer = setTimeout(() => {
      delays.push(Math.max(0, performance.now() - due));
      next();
    }, 1);
  };
  next();
  return () => {
    clearTimeout(timer);
    return delays;
  };
}

function rowOf(name: string, delays: readonly number[], steps: number): DelayRow {
  const [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1].map((fraction) => quantile(delays, fraction)) as [
    number,
    number,
    number,
    number,
  ];
  return { name, p50, p99, p999, max, timers: delays.length, steps };
}

async function idle(seconds: number): Promise<DelayRow> {
  const end = watchTimers();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return rowOf('nothing trains', end(), 0);
}

async function training(backend: Backend, seconds: number): Promise<DelayRow> {
  const { model, trainer, batches } = await startTraining(large, backend);
  await trainer.fit(batches, { steps: 3 }); // until V8 has optimised, and memory pages are there
  const end = watchTimers();
  const stop = performance.now() + seconds * 1000;
  let steps = 0;
  for await (const _ of trainer.train(batches)) {
    steps++;
    if (performance.now() >= stop) break;
  }
  const { isa, threads, place } = backend;
  const row = rowOf(`${isa}, ${threads} thread${threads === 1 ? '' : 's'}, ${place}`, end(), steps);
  await model.engine.close();
  return row;
}

/** The control first and last: what the machine itself does to timers. */
async function measureDelays(seconds: number): Promise<DelayRow[]> {
  const rows = [await idle(seconds)];
  for (const options of [{ backend: 'native' }, { backend: 'wasm' }, { backend: 'wasm', worker: false }] as const) {
    const backend = await loadBackend(options).catch(() => undefined);
    if (backend !== undefined) rows.push(await training(backend, seconds));
  }
  return [...rows, await idle(seconds)];
}

const formatDelays = (rows: readonly DelayRow[]): string =>
  formatTable(
    [
      { heading: 'a timer of 1 ms, late by ms', left: true },
      ...['p50', 'p99', 'p99.9', 'max', 'timers', 'steps'].map((heading) => ({ heading })),
    ],
    rows.map(({ name, p50, p99, p999, max, timers, steps }) => [
      name,
      ...[p50, p99, p999, max].map(formatNumber),
      `${timers}`,
      `${steps}`,
    ]),
  );

async function delay({ seconds }: { readonly seconds: number }): Promise<void> {
  const rows = await measureDelays(seconds);
  process.stdout.write(`${[...describeInLines(describeMachine()), '', formatDelays(rows)].join('\n')}\n`);
}

export const defineDelay = (program: Command): Command =>
  program
    .command('delay')
    .description('how late timers are in the main thread while a large LSTM trains')
    .option('--seconds <s>', 'of measuring for each backend', positive(), 1)
    .action(delay);
