/** `seqgrad embed`: a vector for each text, by a BERT. */
import { type Command, Option } from 'commander';
import { replaceFile, type Sink } from '../formats/atomic.js';
import { writeNpy } from '../formats/npy.js';
import { BertModel, type TextPooling } from '../models/bert-model.js';
import { OptionError } from '../program/options.js';
import { type BackendFlags, backendFrom, required, several, withBackend } from './command.js';
import { inputsToPredict, withTable, withTexts } from './data.js';
import type { TableFlags } from './tasks/task.js';
import { whole } from './training.js';

interface Flags extends BackendFlags, TableFlags {
  model?: string;
  text?: string[];
  data?: string;
  pooling: TextPooling;
  batch: number;
  out?: string;
}

/** Nine digits tell any two float32 apart. */
const shortest = (vector: Float32Array): number[] => Array.from(vector, (value) => Number(value.toPrecision(9)));

const lineOf = (input: object, vector: Float32Array): string =>
  `${JSON.stringify({ ...input, vector: shortest(vector) })}\n`;

type Format = 'npy' | 'jsonl';

/** @throws OptionError for a name that does not end in either */
function formatOf(path: string): Format {
  const format = /\.(npy|jsonl)$/.exec(path)?.[1];
  if (format !== undefined) return format as Format;
  throw new OptionError(`Expected --out to end in .npy or .jsonl but received ${path}`);
}

async function embed({ model: given, out, pooling, batch, ...flags }: Flags): Promise<void> {
  const folder = required(given, '--model <folder>');
  const format = out === undefined ? undefined : formatOf(out);
  const inputs = await inputsToPredict(flags);
  const model = await BertModel.load(folder, { backend: await backendFrom(flags) });
  const vectors = await model.embed(inputs, { pooling, batch });
  const lines = vectors.map((vector, index) => lineOf(inputs[index] as object, vector));
  if (out === undefined) {
    process.stdout.write(lines.join(''));
    return;
  }
  const shape = [vectors.length, model.config.hiddenSize] as const;
  await replaceFile(out, format === 'npy' ? (sink: Sink) => writeNpy(sink, shape, vectors) : lines.join(''));
  process.stdout.write(`${JSON.stringify({ saved: out, texts: shape[0], size: shape[1] })}\n`);
}

export function defineEmbed(program: Command): void {
  const command = program
    .command('embed')
    .description('a vector for each text, by a BERT')
    .option('--model <folder>', 'required: folder of a BERT, ours or Hugging Face’s')
    .option('--text <text>', 'a text; may be given several times', several)
    .option('--data <path>', 'texts, one in each line or in a .csv, .tsv or .jsonl file; - reads standard input')
    .addOption(
      new Option('--pooling <kind>', 'what stands for a text: the mean of its tokens, the first one, or the pooler’s')
        .choices(['mean', 'first', 'pooler'])
        .default('mean'),
    )
    .option('--batch <n>', 'texts that are computed together', whole, 32)
    .option('--out <file>', 'a .npy file [texts, C], or .jsonl (default: JSON lines to standard output)');
  withTexts(command);
  withTable(command, ['error', 'skip']).action(embed);
  withBackend(command);
}
