/** `seqgrad evaluate`: a trained model on text. */
import type { Command } from 'commander';
import { loadText } from '../data/text.js';
import { LstmLanguageModel } from '../models/language-model.js';
import { type BackendFlags, backendFrom, numberOption, required, several, withBackend } from './command.js';

interface Flags extends BackendFlags {
  model?: string;
  text?: string[];
  batch: number;
  window: number;
  json?: boolean;
}

async function evaluate({ model: folder, text: paths, batch, window, json, ...flags }: Flags): Promise<void> {
  const { text } = await loadText(required(paths, '--text <path>'));
  const model = await LstmLanguageModel.load(required(folder, '--model <folder>'), {
    backend: await backendFrom(flags),
  });
  const { loss, perplexity, labels } = await model.evaluate(text, { batch, window });
  if (json === true || !process.stdout.isTTY) {
    process.stdout.write(`${JSON.stringify({ validation: null, test: { loss, perplexity }, characters: labels })}\n`);
  } else {
    const over = `over ${labels.toLocaleString('en')} characters`;
    process.stdout.write(`loss ${loss.toFixed(4)} nats per character, perplexity ${perplexity.toFixed(2)}, ${over}\n`);
  }
}

export function defineEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description('measure a trained language model on text')
    .option('--model <folder>', 'required: folder of a trained model')
    .option('--text <path>', 'required: a text file, or a folder of them; may be given several times', several)
    .option('--batch <n>', 'contiguous streams side by side', numberOption({ from: 1, whole: true }), 32)
    .option('--window <n>', 'time steps of a window', numberOption({ from: 1, whole: true }), 64)
    .option('--json', 'one JSON object')
    .action(evaluate);
  withBackend(command);
}
