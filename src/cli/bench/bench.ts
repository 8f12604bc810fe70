/** `seqgrad bench`: how fast training is here, beside what the machine could do. */
import type { Command } from 'commander';
import { defineCompare } from './compare.js';
import { defineGemm } from './gemm.js';
import { definePeak } from './peak.js';
import { defineProfile } from './profile.js';
import { defineStep } from './step.js';

const explanation = `
Nothing is timed that is wrong: results are compared with another backend first.
GFLOP/s count the matrix products of the model, forward once and backward twice.
The peak is that of multiply-adds in registers, measured in the same process
between the runs, so that a share of it means something on a busy machine.
A star marks what is in doubt. What the columns mean: docs/benchmarks.md of the
repository.`;

export function defineBench(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure speed, beside what the machine could do')
    .addHelpText('after', explanation);
  for (const define of [definePeak, defineGemm, defineStep, defineProfile, defineCompare]) define(bench);
}
