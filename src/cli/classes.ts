/** Metrics of classes, for JSON and for people. */
import type { ClassificationEvaluation } from '../models/sequence-classifier.js';
import { metricsText } from './report.js';
import type { Measured } from './tasks/task.js';

/** Classes whose whole confusion matrix is shown; of more, only the most frequent confusions. */
const MATRIX_CLASSES = 8;
const CONFUSIONS_SHOWN = 5;

/** Rows of cells as a table: the first column to the left, the others to the right. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ');
  return rows.map((row) => `  ${line(row)}`.trimEnd()).join('\n');
}

function confusionText({ classes, confusion }: ClassificationEvaluation): string {
  const names = classes.map(({ label }) => label);
  if (names.length <= MATRIX_CLASSES) {
    const rows = confusion.map((row, index) => [names[index] as string, ...row.map(String)]);
    return `confusion: rows are what it is, columns what was predicted\n${tableText([['', ...names], ...rows])}`;
  }
  const confusions = confusion.flatMap((row, actual) =>
    row.flatMap((count, predicted) => (actual === predicted || count === 0 ? [] : [{ actual, predicted, count }])),
  );
  const worst = confusions.sort((a, b) => b.count - a.count).slice(0, CONFUSIONS_SHOWN);
  const lines = worst.map(
    ({ actual, predicted, count }) => `  ${names[actual]} taken for ${names[predicted]}: ${count}`,
  );
  return lines.length === 0
    ? 'nothing was confused'
    : `most frequent confusions (all of them with --json)\n${lines.join('\n')}`;
}

/** @param unit what was classified: `texts` */
export function measuredClasses(evaluation: ClassificationEvaluation, unit: string): Measured {
  const { loss, accuracy, macroF1, count, classes, confusion } = evaluation;
  const decimals = (value: number): string => value.toFixed(3);
  const rows = classes.map(({ label, precision, recall, f1, support }) => [
    label,
    ...[precision, recall, f1].map(decimals),
    support.toLocaleString('en'),
  ]);
  const byClass = classes.map(({ label, ...its }) => [label, its]);
  return {
    metrics: { loss, accuracy, macro_f1: macroF1, count, classes: Object.fromEntries(byClass), confusion },
    text: `${metricsText({ loss, accuracy, macro_f1: macroF1 })} over ${count.toLocaleString('en')} ${unit}`,
    details: `${tableText([['class', 'precision', 'recall', 'F1', 'count'], ...rows])}\n${confusionText(evaluation)}`,
  };
}
