/** `npm run bench -- threads`: the same work on one thread and on several, in turns in one process, alone and beside a process that spins. */
import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import type { Backend } from '../src/backends/executor.js';
import { loadBackend } from '../src/backends/select.js';
import { measureBarrier } from '../src/bench/barrier.js';
import { describeInLines, describeMachine } from '../src/bench/machine.js';
import { type Cell, cellOf, creditedFlops, describeCell } from '../src/bench/models.js';
import { Stage } from '../src/bench/stage.js';
import { median } from '../src/bench/statistics.js';
import { startTraining } from '../src/bench/training.js';
import { formatNumber, formatTable } from '../src/cli/bench/table.js';
import { type BackendFlags, backendFrom, nameOf, positive, withBackend } from '../src/cli/command.js';
import { flopsOf } from '../src/program/cost.js';
import { verify } from './micro.js';
import { microCases } from './micro-cases.js';

const lstm = (hidden: number, layers: number, batch: number, time: number): Cell =>
  cellOf('lstm', { vocabulary: 96, hidden, layers, batch, time });

const cells: readonly Cell[] = [lstm(64, 1, 8, 32), lstm(128, 1, 32, 64), lstm(256, 2, 32, 64)];
const instructions = /^(matmul 512×512×512|lstm)/;

/** Work that is short is timed several times in a row. */
const SAMPLE_FLOPS = 5e8;

/** Work to be timed, on one backend. */
interface Work {
  readonly title: string;
  /** Milliseconds of doing it once. */
  time(): Promise<number>;
}

async function timeOf(run: () => Promise<unknown>, times: number): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / times;
}

/** Instructions, each verified, and training steps. */
async function worksOn(backend: Backend): Promise<Work[]> {
  const works: Work[] = [];
  for (const micro of microCases.filter(({ title }) => instructions.test(title))) {
    const stage = new Stage(micro, backend);
    await verify(micro, stage);
    const times = Math.ceil(SAMPLE_FLOPS / flopsOf(stage.call));
    const run = await stage.load(times);
    works.push({ title: micro.title, time: () => timeOf(run, times) });
  }
  for (const cell of cells) {
    const { trainer, batches } = await startTraining(cell, backend);
    const steps = Math.ceil(SAMPLE_FLOPS / creditedFlops(cell));
    works.push({ title: describeCell(cell), time: () => timeOf(() => trainer.fit(batches, { steps }), steps) });
  }
  return works;
}

/** Times both in turns. @returns a line of the table. */
async function compare(one: Work, all: Work, seconds: number): Promise<string[]> {
  await one.time(); // until pages are there, and V8 has optimised
  await all.time();
  const samples: [number[], number[]] = [[], []];
  for (const end = performance.now() + seconds * 1000; samples[0].length < 3 || performance.now() < end; ) {
    samples[0].push(await one.time());
    samples[1].push(await all.time());
  }
  const [least, middle] = [samples.map((each) => Math.min(...each)), samples.map(median)] as [number[], number[]];
  const ratios = [least, middle].map(([alone = 0, together = 0]) => alone / together);
  return [least[0], middle[0], least[1], middle[1], ...ratios].map((value) => formatNumber(value as number));
}

async function threads({ seconds, ...flags }: BackendFlags & { readonly seconds: number }): Promise<void> {
  const backend = await backendFrom(flags);
  const { name, isa, numerics, threads: count } = backend;
  const [one, all] = [
    await worksOn(await loadBackend({ backend: name, isa, numerics, threads: 1 })),
    await worksOn(backend),
  ];
  const rows: string[][] = [];
  for (const busy of [false, true]) {
    const spinner = busy ? spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }) : undefined;
    for (const [index, work] of one.entries()) {
      const title = `${work.title}${busy ? ', beside a busy process' : ''}`;
      rows.push([title, ...(await compare(work, all[index] as Work, seconds))]);
    }
    spinner?.kill();
  }
  const headings = ['1 thread: min', 'median', `${count} threads: min`, 'median', 'ratio of mins', 'of medians'];
  const table = formatTable([{ heading: 'ms', left: true }, ...headings.map((heading) => ({ heading }))], rows);
  const barrier = await measureBarrier(backend);
  const lines = [nameOf(backend), ...describeInLines(describeMachine()), '', table, ''];
  if (barrier !== undefined) lines.push(`a fork and join: ${Math.round(barrier)} ns`);
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exit(); // engines of its own are still there
}

export function defineThreads(program: Command): void {
  const command = program
    .command('threads')
    .description('what threads give: instructions and training steps on one thread and on several, in this process')
    .option('--seconds <s>', 'of measuring for each', positive(), 1)
    .action(threads);
  withBackend(command);
}
