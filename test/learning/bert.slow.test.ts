/**
 * What BERT learns from running text, by the commands of docs/bert.md: to guess masked tokens of tinyshakespeare better than by how frequent
 * each is, and from there the language of a surname. SEQGRAD_DATA names the folder that holds tinyshakespeare.txt and names/.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { linesOf, start } from '../cli/run.js';

const data = process.env.SEQGRAD_DATA ?? '.';
const text = join(data, 'tinyshakespeare.txt');
const names = join(data, 'names');
const folder = mkdtempSync(join(tmpdir(), 'seqgrad-learning-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const pretrained = join(folder, 'shakespeare');

async function last(t: ExecutionContext, args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await start(args, {}, { timeout: 1_800_000 }).ended;
  t.is(code, 0, stderr);
  return linesOf(stdout).at(-1) as Record<string, unknown>;
}

const title = 'masked tokens of tinyshakespeare, then surnames by language';
if (existsSync(text) && existsSync(names)) {
  test.serial(title, async (t) => {
    t.timeout(3_600_000);
    const sizes = ['--preset', 'tiny', '--vocabulary', '1000', '--max-length', '128', '--steps', '1000'];
    const { validation } = await last(t, ['train', 'mlm', '--text', text, ...sizes, '--out', pretrained]);
    const { loss, accuracy, unigram_entropy: entropy, most_frequent: frequent } = validation as Record<string, number>;
    t.log(`loss ${loss}, entropy of single tokens ${entropy}, accuracy ${accuracy}, most frequent token ${frequent}`);
    t.true(loss! < entropy! - 0.6, 'a model that only copies what is shown as it is gets 0.3');
    t.true(accuracy! > 2 * frequent!);
    const classify = ['train', 'classify', '--model', 'bert', '--data', names, '--from', pretrained];
    const { test: tested } = await last(t, [...classify, '--epochs', '10', '--out', join(folder, 'origin')]);
    t.log(`accuracy ${(tested as Record<string, number>).accuracy}`);
    t.true((tested as Record<string, number>).accuracy! > 0.75);
  });
} else {
  test.skip(`${title} (skipped: SEQGRAD_DATA names no folder with tinyshakespeare.txt and names/)`, () => {});
}
