/** `npm run bench -- pytorch`: the same training steps by seqgrad and by PyTorch, in turns, where a Python that has it is given. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Failure, Measurement } from '../src/bench/jobs.js';
import { hasFailed } from '../src/bench/jobs.js';
import { type MeasuredStep, measureSteps } from '../src/bench/measure.js';
import { type Cell, creditedFlops, tokensOf } from '../src/bench/models.js';
import { median, quantile } from '../src/bench/statistics.js';
import type { StepTimes } from '../src/bench/step.js';
import type { Subject } from '../src/bench/subjects.js';
import {
  type CellFlags,
  cellFrom,
  type EffortFlags,
  type OutputFlags,
  subjectFrom,
  withCell,
  withEffort,
  withOutput,
} from '../src/cli/bench/options.js';
import { Output } from '../src/cli/bench/output.js';
import {
  cellKeys,
  doubtLines,
  failedIn,
  measuredIn,
  stepCells,
  stepColumns,
  stepRemarks,
  stepRow,
  titleOf,
} from '../src/cli/bench/rows.js';
import { formatNumber, formatShare, formatTable } from '../src/cli/bench/table.js';
import { type BackendFlags, withBackend } from '../src/cli/command.js';
import { OptionError } from '../src/program/options.js';
import { peerCells } from './peer-cells.js';

type Flags = BackendFlags &
  CellFlags &
  EffortFlags &
  OutputFlags & { readonly python: string; readonly preload?: string; readonly all?: true };

const script = fileURLToPath(new URL('../../bench/pytorch_step.py', import.meta.url));

/** What bench/pytorch_step.py prints. */
interface PytorchTimes {
  /** Of every step, by the fastest of several forms of the same step. */
  readonly milliseconds: readonly number[];
  /** PyTorch's version, the library its matrix products come from, the form of the step. */
  readonly version: string;
  readonly blas: string;
  readonly form: string;
}

/** Runs a command to its end and reads the JSON on the last line of its output. */
function runProcess<T>(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<T | Failure> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    }
    child.on('error', ({ message }) => resolve({ failure: message }));
    child.on('close', (code, signal) => {
      const line = said.stdout.trimEnd().split('\n').at(-1) ?? '';
      if (code === 0 && line !== '') resolve(JSON.parse(line) as T);
      else resolve({ failure: said.stderr.trim() || `ended with ${signal ?? `exit code ${code}`} and said nothing` });
    });
  });
}

/** What pytorch_step.py is asked. */
export const stepArguments = (cell: Cell, threads: number, seconds: number): string[] =>
  Object.entries({ ...cell, threads, seconds }).flatMap(([name, value]) => [`--${name}`, `${value}`]);

function launch(cell: Cell, threads: number, { python, preload, seconds }: Flags): Promise<PytorchTimes | Failure> {
  const count = `${threads}`;
  return runProcess(python, [script, ...stepArguments(cell, threads, seconds)], {
    OMP_NUM_THREADS: count,
    MKL_NUM_THREADS: count,
    OPENBLAS_NUM_THREADS: count,
    ...(preload === undefined ? {} : { LD_PRELOAD: preload }),
  });
}

/** PyTorch's times differ from launch to launch: the best launch counts. */
const bestLaunch = (launches: readonly PytorchTimes[]): PytorchTimes =>
  launches.toSorted((a, b) => median(a.milliseconds) - median(b.milliseconds))[0] as PytorchTimes;

/** PyTorch beside our own row, whose peak is the machine's. */
function theirs(cell: Cell, { milliseconds, version }: PytorchTimes, ours: MeasuredStep | undefined): string[] {
  const time = median(milliseconds);
  const rate = creditedFlops(cell) / time / 1e6;
  const peak = ours?.peak ?? Number.NaN;
  return [
    `PyTorch ${version}`,
    ...[time, quantile(milliseconds, 0), quantile(milliseconds, 0.25), quantile(milliseconds, 0.75)].map(formatNumber),
    `${milliseconds.length}`,
    formatNumber((tokensOf(cell) / time) * 1000),
    formatNumber(rate),
    formatNumber(peak),
    formatShare(rate / peak),
  ];
}

/** One after the other; `--all` takes the shapes that we have for the model in place of the one that sizes describe. */
async function pytorch(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const asked = cellFrom(flags);
  if (asked.dtype !== 'float32') {
    throw new OptionError(`bench pytorch: Expected \`dtype\` to be float32 but received ${asked.dtype}`);
  }
  const subject = await subjectFrom(flags);
  const cells = flags.all ? peerCells.filter(({ model }) => model === asked.model) : [asked];
  for (const cell of cells) await compare(cell, subject, output, flags);
}

async function compare(cell: Cell, subject: Subject, output: Output, flags: Flags): Promise<void> {
  const { rounds, seconds } = flags;
  const launches: PytorchTimes[] = [];
  const other: Measurement<StepTimes> = {
    name: 'PyTorch',
    async measure() {
      const times = await launch(cell, subject.threads ?? 1, flags);
      if (hasFailed(times)) return times;
      launches.push(times);
      return {
        threads: 1,
        milliseconds: times.milliseconds,
        peaks: [],
        executedFlops: 0,
        planningMilliseconds: 0,
        barrier: undefined,
      };
    },
  };
  const result = await measureSteps({
    cell,
    subjects: [subject],
    rounds,
    seconds,
    watch: output.watch,
    others: [other],
  });
  const measured = measuredIn(result.rows);
  const [ours] = measured;
  const failure = result.others.find((answer) => hasFailed(answer));
  const best = failure === undefined ? bestLaunch(launches) : undefined;
  const lines = [...measured.map(stepCells), ...(best === undefined ? [] : [theirs(cell, best, ours)])];
  const time = best === undefined ? Number.NaN : median(best.milliseconds);
  const ratio = time / (ours?.summary.median ?? Number.NaN);
  const remark = best && `PyTorch takes ${formatNumber(ratio)} times as long (best launch; ${best.form}; ${best.blas})`;
  output.print({
    title: titleOf(cell),
    rows: [
      ...measured.map((row) => stepRow('pytorch', row)),
      ...(best === undefined
        ? []
        : [{ bench: 'pytorch', ...cellKeys(cell), ...best, milliseconds: undefined, ms_median: time, ratio }]),
    ],
    text: [
      formatTable(stepColumns, lines),
      ...(remark ? [remark] : []),
      ...measured.flatMap(stepRemarks),
      ...doubtLines(measured),
    ].join('\n'),
    notes: [...result.notes, ...(failure !== undefined && hasFailed(failure) ? [`PyTorch: ${failure.failure}`] : [])],
    failures: failedIn(result.rows),
  });
}

export function definePytorch(program: Command): void {
  const command = program
    .command('pytorch')
    .description('training steps beside those of PyTorch, in turns, each launch a process of its own')
    .option('--python <path>', 'a Python that has PyTorch', 'python3')
    .option('--preload <library>', 'matrix products for PyTorch, loaded before its own')
    .option('--all', 'every shape that we have for the model, sizes are not looked at')
    .action(pytorch);
  withOutput(withEffort(withBackend(withCell(command)), 2));
}
