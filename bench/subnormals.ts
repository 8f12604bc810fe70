/** `npm run bench -- subnormals`: instructions on subnormal numbers, below 2⁻¹²⁶, beside the same instructions on ordinary ones. */
import type { Command } from 'commander';
import type { Backend } from '../src/backends/executor.js';
import { describeInLines, describeMachine } from '../src/bench/machine.js';
import { Stage } from '../src/bench/stage.js';
import { median } from '../src/bench/statistics.js';
import { formatNumber, formatTable } from '../src/cli/bench/table.js';
import { type BackendFlags, backendFrom, nameOf, positive, withBackend } from '../src/cli/command.js';
import { flopsOf } from '../src/program/cost.js';
import { filling } from './micro.js';
import { type MicroCase, microCases } from './micro-cases.js';

/** The operands that are made subnormal, by the first word of a case's title: what vanishes in a training. */
const vanishing: Readonly<Record<string, readonly string[]>> = {
  matmul: ['a'],
  lstmBackward: ['dHidden'],
  layerNormBackward: ['dy'],
  geluBackward: ['dy'],
  adamw: ['gradients', 'firstMoment'],
};
const SMALL = 1e-39;
const SAMPLE_FLOPS = 2e8;

const cases = microCases.filter(
  ({ title, instruction }) => instruction in vanishing && !/512×512×512|64×64/.test(title),
);

/** The case with its vanishing operands made small. */
const vanished = (micro: MicroCase): MicroCase => {
  const small = (vanishing[micro.instruction] ?? []).map((name) => [
    name,
    (_: number, random: number) => SMALL * random,
  ]);
  return { ...micro, fillings: { ...micro.fillings, ...Object.fromEntries(small) } };
};

/** Milliseconds on ordinary numbers and on subnormal ones, in turns: the medians. */
async function measure(micro: MicroCase, backend: Backend, seconds: number): Promise<[number, number]> {
  const times = Math.max(1, Math.ceil(SAMPLE_FLOPS / flopsOf(new Stage(micro, backend).call)));
  const samples: [number[], number[]] = [[], []];
  const stages = [micro, vanished(micro)].map((each) => ({ each, stage: new Stage(each, backend) }));
  for (let turn = 0, end = performance.now() + seconds * 1000; turn < 5 || performance.now() < end; turn++) {
    for (const [index, { each, stage }] of stages.entries()) {
      await stage.fill(filling(each)); // an update must not make them ordinary
      const run = await stage.load(times);
      const start = performance.now();
      await run();
      if (turn > 0) samples[index as 0 | 1].push((performance.now() - start) / times);
    }
  }
  await Promise.all(stages.map(({ stage }) => stage.close()));
  return samples.map(median) as [number, number];
}

async function subnormals({ seconds, ...flags }: BackendFlags & { readonly seconds: number }): Promise<void> {
  const backend = await backendFrom(flags);
  const rows: string[][] = [];
  for (const micro of cases) {
    const [ordinary, small] = await measure(micro, backend, seconds);
    const names = vanishing[micro.instruction]?.join(', ') ?? '';
    rows.push([`${micro.title}: ${names}`, formatNumber(ordinary), formatNumber(small), (small / ordinary).toFixed(2)]);
  }
  const headings = ['ordinary', 'subnormal', 'ratio'].map((heading) => ({ heading }));
  const table = formatTable([{ heading: 'ms', left: true }, ...headings], rows);
  process.stdout.write(`${[nameOf(backend), ...describeInLines(describeMachine()), '', table].join('\n')}\n`);
}

export function defineSubnormals(program: Command): void {
  const command = program
    .command('subnormals')
    .description('what numbers below 2⁻¹²⁶ cost: instructions on them and on ordinary ones, in turns')
    .option('--seconds <s>', 'of measuring for each', positive(), 1)
    .action(subnormals);
  withBackend(command);
}
