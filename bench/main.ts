/** `npm run bench`: how fast training steps are here, and where their time goes. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Numerics } from '../src/backends/executor.js';
import { cells } from './cells.js';
import { formatDelays, measureDelays } from './delay.js';
import { describeMachine, machineLines } from './machine.js';
import { formatMicros, measureMicros } from './report-micro.js';
import { formatProfiles, measureProfiles, type ProfileLines, profileLines } from './report-profile.js';
import { formatSteps, jsonOf, measureSteps } from './report-step.js';
import { chooseSubjects, isas } from './subjects.js';

interface Flags {
  readonly cell?: string[];
  readonly isa?: string[];
  readonly numerics: Numerics;
  readonly rounds: number;
  readonly seconds: number;
  readonly micro?: true;
  readonly delay?: true;
  readonly profile?: ProfileLines | true;
  readonly pytorch?: string;
  readonly pytorchPreload?: string;
  readonly json?: true;
}

const above0 = (text: string): number => {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
};

const count = (text: string): number => {
  const value = above0(text);
  if (Number.isInteger(value)) return value;
  throw new InvalidArgumentError('Expected a whole number.');
};

const flags = new Command('npm run bench --')
  .description(
    'Times full training steps: forward, loss, backward, clipping, AdamW and the asynchronous way there and back. ' +
      'One thread; each subject in a fresh process, the subjects in turns. Nothing is timed that computes something ' +
      'else than the reference. GFLOP/s count the matrix products of the model, forward once and backward twice; ' +
      'the peak is measured in the same process, between the steps.',
  )
  .configureHelp({ helpWidth: 100 })
  .addOption(new Option('--cell <names...>', 'only these training steps').choices(cells.map(({ name }) => name)))
  .addOption(new Option('--isa <names...>', 'instead of the best native ISA and both WASM builds').choices(isas))
  .addOption(new Option('--numerics <kind>', 'fused or not').choices(['fast', 'strict']).default('fast'))
  .option('--rounds <n>', 'processes for each subject', count, 3)
  .option('--seconds <n>', 'of measuring in each process, or for each instruction with --micro', above0, 1)
  .option('--micro', 'time single instructions')
  .option('--delay', 'how late timers are in the main thread while a large LSTM trains')
  .addOption(
    new Option('--profile [lines]', 'show where the time of a step goes: a line for each kind of instruction or call')
      .choices(profileLines)
      .preset('kind'),
  )
  .option('--pytorch <python>', 'time the same steps with the PyTorch of this Python')
  .option('--pytorch-preload <library>', 'matrix products for PyTorch, loaded before its own')
  .option('--json', 'one JSON object')
  .parse()
  .opts<Flags>();

const chosenCells = cells.filter(({ name }) => flags.cell?.includes(name) ?? true);
const chosen = await chooseSubjects(flags.isa, flags.numerics);
const machine = describeMachine();
const print = (result: object, text: string): void => {
  const lines = [...machineLines(machine), ...chosen.notes, '', text];
  const json = JSON.stringify({ ...machine, notes: chosen.notes, ...result });
  process.stdout.write(`${flags.json ? json : lines.join('\n')}\n`);
};

if (flags.delay) {
  const rows = await measureDelays(flags.seconds);
  print({ delays: rows }, formatDelays(rows));
} else if (flags.micro) {
  const rows = await measureMicros(chosen, flags.rounds, flags.seconds);
  print({ instructions: rows }, formatMicros(rows));
} else if (flags.profile) {
  const rows = await measureProfiles(chosenCells, chosen, flags.seconds);
  print({ profiles: rows }, formatProfiles(rows, flags.profile as ProfileLines));
} else {
  const { rounds, seconds } = flags;
  const pytorch = flags.pytorch === undefined ? undefined : { python: flags.pytorch, preload: flags.pytorchPreload };
  const rows = await measureSteps({ cells: chosenCells, chosen, rounds, seconds, pytorch });
  print({ steps: rows.map(jsonOf) }, formatSteps(rows, chosenCells));
}
