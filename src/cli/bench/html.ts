/**
 * The page of `seqgrad bench compare --html`: one file that loads nothing and runs nothing. Its own policy forbids all but its style,
 * by hash; under a policy that forbids that too, attributes and the browser's own colours remain.
 */
import { createHash } from 'node:crypto';
import { describeInLines, type Machine } from '../../bench/machine.js';
import {
  creditedRate,
  type Failed,
  type MeasuredProfile,
  type MeasuredStep,
  roofsOf,
  tokensPerSecond,
} from '../../bench/measure.js';
import { tokensOf } from '../../bench/models.js';
import { linesOf, type ProfileLine } from '../../bench/profile.js';
import { gbpsOf, gflopsOf, type Roofs, shareOfNearerRoof, totalOf } from '../../bench/roof.js';
import { nameOf } from '../../bench/subjects.js';
import { formatBytes } from '../report.js';
import { doubtLines, marked, stepCells, stepColumns, stepRemarks } from './rows.js';
import { type Bar, bars, element, escapeText, type Point, roofline, type Slope } from './svg.js';
import { type Column, formatNumber, formatShare } from './table.js';

export interface Page {
  readonly title: string;
  readonly machine: Machine;
  readonly notes: readonly string[];
  readonly steps: readonly MeasuredStep[];
  readonly failures: readonly Failed[];
  readonly profiles: readonly MeasuredProfile[];
  /** What was typed after `seqgrad`. */
  readonly command: readonly string[];
}

const style = `
:root { color-scheme: light dark; --bar: #3b74b8; --roof: #b4571d; --soft: #666; --line: #ddd; --back: #fff; --ink: #1a1a1a }
@media (prefers-color-scheme: dark) {
  :root { --bar: #6ea3e0; --roof: #e2955c; --soft: #aaa; --line: #3a3a3a; --back: #161616; --ink: #e8e8e8 }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; background: var(--back); color: var(--ink) }
h1 { font-size: 1.4rem; line-height: 1.3 } h2 { font-size: 1.15rem; margin-top: 2.5rem } h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p, li { color: var(--soft); max-width: 48rem } code { color: var(--ink) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th.left, td.left { text-align: left } .wide { overflow-x: auto }
.bar, .point { fill: var(--bar) } .roof { stroke: var(--roof) } svg { display: block; height: auto }
`;

const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`;

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: 'th' | 'td', texts: readonly string[]): string =>
    texts
      .map((text, index) =>
        element(tag, columns[index]?.left ? { class: 'left', align: 'left' } : { align: 'right' }, escapeText(text)),
      )
      .join('');
  const head = element(
    'thead',
    {},
    element(
      'tr',
      {},
      cells(
        'th',
        columns.map(({ heading }) => heading),
      ),
    ),
  );
  const body = element('tbody', {}, ...rows.map((row) => element('tr', {}, cells('td', row))));
  return element('div', { class: 'wide' }, element('table', {}, head, body));
}

const paragraph = (text: string): string => element('p', {}, escapeText(text));
const heading = (level: 2 | 3, text: string): string => element(`h${level}`, {}, escapeText(text));

function speedBar(row: MeasuredStep): Bar {
  const { summary, subject, cell } = row;
  const rate = (milliseconds: number): number => (tokensOf(cell) / milliseconds) * 1000;
  return {
    name: marked(nameOf(subject), row),
    value: tokensPerSecond(row),
    text: `${formatNumber(tokensPerSecond(row))} · ${formatNumber(summary.median)} ms`,
    range: [rate(summary.p75), rate(summary.p25)],
  };
}

function shareBar(row: MeasuredStep): Bar {
  const share = creditedRate(row) / row.peak;
  const text = `${formatShare(share)} of ${formatNumber(row.peak)} GFLOP/s`;
  return { name: marked(nameOf(row.subject), row), value: share, text };
}

const lineColumns: readonly Column[] = [
  { heading: 'instruction', left: true },
  ...['calls', 'ms', 'of step', 'GFLOP/s', 'GB/s', 'of roof'].map((heading) => ({ heading })),
  { heading: 'nearer roof', left: true },
];

function lineCells(line: ProfileLine, step: number, roofs: Roofs): string[] {
  const { share, roof } = shareOfNearerRoof(line.calls, roofs);
  return [
    line.name,
    `${line.calls.length}`,
    formatNumber(line.milliseconds),
    formatShare(line.milliseconds / step),
    formatNumber(gflopsOf(line)),
    formatNumber(gbpsOf(line)),
    formatShare(share),
    roof,
  ];
}

/** Less of the time than this is not worth a point. */
const LEAST_SHARE = 0.0005;

/** Instructions that do no arithmetic have no place in the plot. */
const pointsOf = (lines: readonly ProfileLine[], total: number): Point[] =>
  lines
    .filter(({ flops, milliseconds }) => flops > 0 && milliseconds > LEAST_SHARE * total)
    .map((line) => ({
      name: line.name,
      intensity: line.flops / line.bytes,
      rate: gflopsOf(line),
      weight: line.milliseconds / total,
      text: `${line.name}: ${formatNumber(line.milliseconds)} ms, ${formatNumber(gflopsOf(line))} GFLOP/s, ${formatNumber(line.flops / line.bytes)} operations per byte`,
    }));

/** The fastest memory, which is a cache, and the slowest that the step's instructions are large enough for. */
function slopesOf({ profile }: MeasuredProfile, { bandwidth }: Roofs): Slope[] {
  const sizes = profile.bandwidth.map(({ bytes }) => bytes);
  const [smallest, largest] = [Math.min(...sizes), Math.max(...sizes)];
  return [
    { name: formatBytes(smallest), bandwidth: bandwidth(smallest) },
    { name: formatBytes(largest), bandwidth: bandwidth(largest) },
  ];
}

function profileSection(measured: MeasuredProfile): string {
  const { profile, summary, subject, peak } = measured;
  const roofs = roofsOf(measured);
  const lines = linesOf(profile.calls, 'kind');
  const { milliseconds } = totalOf(profile.calls);
  return [
    heading(3, marked(nameOf(subject), measured)),
    ...doubtLines([measured]).map(paragraph),
    roofline(`Roofline of ${nameOf(subject)}`, peak, slopesOf(measured, roofs), pointsOf(lines, milliseconds)),
    table(
      lineColumns,
      lines.map((line) => lineCells(line, summary.median, roofs)),
    ),
  ].join('\n');
}

export function renderPage({ title, machine, notes, steps, failures, profiles, command }: Page): string {
  const withPeak = steps.filter(({ peak }) => Number.isFinite(peak));
  const remarks = [
    ...steps.flatMap(stepRemarks),
    ...doubtLines(steps),
    ...failures.map(({ subject, failure }) => `${nameOf(subject)}: ${failure}`),
  ];
  const body = [
    element('h1', {}, escapeText(title)),
    element('p', {}, [...describeInLines(machine), ...notes].map(escapeText).join('<br>')),
    element('p', {}, 'made by ', element('code', {}, escapeText(`seqgrad ${command.join(' ')}`))),
    ...(steps.length === 0
      ? []
      : [
          heading(2, 'Tokens per second'),
          bars('Tokens per second', steps.map(speedBar)),
          paragraph(
            'Full training steps: forward, loss, backward, clipping, AdamW, and the asynchronous way there and back. Fresh processes in turns; bars are medians, lines the middle half of the runs. Nothing was timed before it agreed with another backend.',
          ),
          table(stepColumns, steps.map(stepCells)),
        ]),
    ...(withPeak.length === 0
      ? []
      : [
          heading(2, 'Share of the peak'),
          bars('Share of the peak', withPeak.map(shareBar), 1),
          paragraph(
            'GFLOP/s of the model’s matrix products, forward once and backward twice, as a share of what multiply-adds in registers reach on as many threads, measured in the same processes between the runs.',
          ),
        ]),
    ...(remarks.length === 0
      ? []
      : [element('ul', {}, ...remarks.map((remark) => element('li', {}, escapeText(remark))))]),
    ...(profiles.length === 0
      ? []
      : [
          heading(2, 'Where the time goes'),
          paragraph(
            'A point for each kind of instruction that does arithmetic and takes at least 0.05 % of the time, as large as its share of it, below what the machine allows: the level roof is the peak, a slope is the bandwidth for so many bytes at once.',
          ),
          ...profiles.map(profileSection),
        ]),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeText(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeText(title)}</title>
<style>${style}</style>
</head>
<body>
${body.join('\n')}
</body>
</html>
`;
}
