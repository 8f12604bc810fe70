/** `seqgrad evaluate`: a trained model on data it was not trained on. */
import type { Command } from 'commander';
import { numberOption, required, several, withBackend } from './command.js';
import { withTable, withTextColumns } from './data.js';
import { taskOf } from './tasks/index.js';
import type { EvaluateFlags } from './tasks/task.js';
import { whole } from './training.js';

async function evaluate({ model, json, ...flags }: EvaluateFlags & { model?: string; json?: boolean }): Promise<void> {
  const folder = required(model, '--model <folder>');
  const task = await taskOf(folder);
  const { metrics, text, details } = await task.evaluate(folder, flags);
  if (json === true || !process.stdout.isTTY) {
    process.stdout.write(`${JSON.stringify({ validation: null, test: metrics })}\n`);
  } else {
    process.stdout.write(`${text}\n${details === undefined ? '' : `${details}\n`}`);
  }
}

export function defineEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('measure a trained model on data')
    .option('--model <folder>', 'required: folder of a trained model')
    .option('--text <path>', 'language models: a text file, or a folder of them; may be given several times', several)
    .option('--data <path>', 'all others: data as for training');
  withTextColumns(command);
  withTable(command, ['error', 'skip', 'previous'])
    .option('--last <share>', 'forecasts: only the last share of the rows', numberOption({ from: 0, below: 1 }))
    .option('--season <n>', 'forecasts: MASE compares with the value this many rows before (default: 1)', whole)
    .option('--batch <n>', 'rows that are computed together', whole)
    .option('--window <n>', 'language models: time steps of a window (default: 64; masked ones: 128)', whole)
    .option('--json', 'one JSON object')
    .action(evaluate);
  withBackend(command);
}
