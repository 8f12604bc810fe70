/** `seqgrad bench gemm`: single matrix products. */
import type { Command } from 'commander';
import { type GemmTime, nameOfProduct, type Product, parseProduct, usualProducts } from '../../bench/gemm.js';
import { alternate, hasFailed, runJob } from '../../bench/jobs.js';
import { type Measured, measuredOf } from '../../bench/measure.js';
import { nameOf, notesOn, type Subject } from '../../bench/subjects.js';
import { type BackendFlags, withBackend } from '../command.js';
import {
  type DtypeFlags,
  type EffortFlags,
  type OutputFlags,
  subjectFrom,
  withDtype,
  withEffort,
  withOutput,
} from './options.js';
import { Output } from './output.js';
import { doubtLines, marked, subjectKeys, timeKeys } from './rows.js';
import { formatNumber, formatShare, formatTable } from './table.js';

type Flags = BackendFlags & EffortFlags & OutputFlags & DtypeFlags & { readonly sizes?: readonly string[] };

interface Row extends Measured {
  readonly product: Product;
  readonly flops: number;
}

const rowsOf = (subject: Subject, products: readonly Product[], rounds: readonly (readonly GemmTime[])[]): Row[] =>
  products.map((product, index) => {
    const times = rounds.map((round) => round[index] as GemmTime);
    const { threads, flops } = times[0] as GemmTime;
    return { ...measuredOf({ ...subject, threads }, times), product, flops };
  });

const columns = [
  { heading: 'M×N×K', left: true },
  ...['µs', 'min', 'p25', 'p75', 'runs', 'GFLOP/s', 'peak', 'of peak'].map((heading) => ({ heading })),
] as const;

const cellsOf = (row: Row): string[] => {
  const { summary, product, flops, peak } = row;
  const rate = flops / summary.median / 1e6;
  return [
    marked(nameOfProduct(product), row),
    ...[summary.median, summary.min, summary.p25, summary.p75].map((milliseconds) => formatNumber(milliseconds * 1000)),
    `${summary.runs}`,
    formatNumber(rate),
    formatNumber(peak),
    formatShare(rate / peak),
  ];
};

async function gemm(flags: Flags): Promise<void> {
  const output = new Output(flags);
  const products = flags.sizes?.map(parseProduct) ?? usualProducts;
  const subject = await subjectFrom(flags);
  const { rounds, seconds, dtype } = flags;
  const measurement = {
    name: nameOf(subject),
    measure: () => runJob({ kind: 'gemm', products, subject, seconds, dtype } as const),
  };
  const [answer = []] = await alternate<readonly GemmTime[]>([measurement], rounds, output.watch);
  const rows = hasFailed(answer) ? [] : rowsOf(subject, products, answer);
  const name = (row: Measured): string => nameOfProduct((row as Row).product);
  const table = rows.length > 0 ? [formatTable(columns, rows.map(cellsOf))] : [];
  output.print({
    title: `c [M, N] = op(a) · op(b), ${nameOf(rows[0]?.subject ?? subject)}${dtype === 'float32' ? '' : `, ${dtype}`}`,
    rows: rows.map((row) => ({
      bench: 'gemm',
      ...row.product,
      ...subjectKeys(row.subject, dtype),
      ...timeKeys(row, row.flops),
    })),
    text: [...table, ...doubtLines(rows, name)].join('\n'),
    notes: await notesOn(subject),
    failures: hasFailed(answer) ? [{ subject, ...answer }] : [],
  });
}

export function defineGemm(bench: Command): void {
  const command = bench
    .command('gemm')
    .description('single matrix products c [M, N] = op(a) · op(b)')
    .option(
      '--sizes <sizes...>',
      '256, or 512x3072x768 for M×N×K, :NT behind it for a transposed b, :TN for a transposed a (default: a dozen usual ones)',
    )
    .action(gemm);
  withOutput(withEffort(withBackend(withDtype(command)), 0.3));
}
