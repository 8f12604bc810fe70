/** `seqgrad generate`: text from a trained language model. */
import type { Command } from 'commander';
import { type BackendFlags, numberOption, required, withBackend } from './command.js';
import { onInterrupt } from './interrupt.js';
import { loadWriter } from './tasks/language-models.js';

interface Flags extends BackendFlags {
  model?: string;
  prompt?: string;
  length: number;
  temperature: number;
  topK?: number;
  seed: number;
}

async function generate({ model: folder, ...flags }: Flags): Promise<void> {
  const { prompt, length, temperature, topK, seed } = flags;
  const model = await loadWriter(required(folder, '--model <folder>'), flags);
  if (prompt !== undefined) model.vocabulary.encode(prompt); // refuses it before anything is printed
  const { signal, restore } = onInterrupt('');
  process.stdout.write(prompt ?? '');
  const options = {
    length,
    temperature,
    seed,
    signal,
    ...(prompt === undefined ? {} : { prompt }),
    ...(topK === undefined ? {} : { topK }),
  };
  for await (const piece of model.generate(options)) process.stdout.write(piece);
  process.stdout.write('\n');
  restore();
  if (signal.aborted) process.exitCode = 130;
}

export function defineGenerate(program: Command): void {
  const command = program
    .command('generate')
    .description('generate text with a trained language model')
    .option('--model <folder>', 'required: folder of a trained model')
    .option('--prompt <text>', 'text to go on from')
    .option(
      '--length <n>',
      'tokens to generate: characters, words or byte pairs, as the model was trained',
      numberOption({ from: 0, whole: true }),
      400,
    )
    .option(
      '--temperature <t>',
      'below 1 safer, above 1 wilder, 0 always the likeliest',
      numberOption({ from: 0 }),
      0.8,
    )
    .option('--top-k <k>', 'draw only from the k likeliest tokens', numberOption({ from: 1, whole: true }))
    .option('--seed <n>', 'the same seed gives the same text', numberOption({ from: 0, whole: true }), 1)
    .action(generate);
  withBackend(command);
}
