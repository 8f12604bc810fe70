/** `seqgrad predict`: what a trained model says about new data. */
import type { Command } from 'commander';
import { required, several, withBackend } from './command.js';
import { withTable, withTextColumns } from './data.js';
import { taskOf } from './tasks/index.js';
import type { PredictFlags } from './tasks/task.js';

async function predict({ model, json, ...flags }: PredictFlags & { model?: string }): Promise<void> {
  const folder = required(model, '--model <folder>');
  const task = await taskOf(folder);
  const isJson = json === true || !process.stdout.isTTY;
  for await (const prediction of task.predict(folder, flags)) {
    process.stdout.write(`${isJson ? JSON.stringify(prediction.json) : prediction.text}\n`);
  }
}

export function definePredict(program: Command): void {
  const command = program
    .command('predict')
    .description('classify or label texts, fill in masked tokens, or forecast how a series goes on')
    .option('--model <folder>', 'required: folder of a trained model')
    .option(
      '--text <text>',
      'a text to classify, one with [MASK] to fill in, or tokens to label separated by spaces; may be given several times',
      several,
    )
    .option(
      '--data <path>',
      'texts, one in each line or in a .csv, .tsv or .jsonl file; or the series so far; - reads standard input',
    );
  withTextColumns(command);
  withTable(command, ['error', 'skip', 'previous']).option('--json', 'one JSON object per line').action(predict);
  withBackend(command);
}
