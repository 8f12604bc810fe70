import { stripVTControlCharacters } from 'node:util';
import test from 'ava';
import { TerminalReport } from '../../src/cli/report.js';

/** What a report writes to a terminal of some width. */
function drawn(columns: number, use: (report: TerminalReport) => void): string {
  const { write, columns: before } = process.stdout;
  let text = '';
  process.stdout.columns = columns;
  process.stdout.write = ((piece: string) => {
    text += piece;
    return true;
  }) as typeof write;
  try {
    use(new TerminalReport());
  } finally {
    process.stdout.write = write;
    process.stdout.columns = before;
  }
  return text;
}

const step = {
  step: 1_000_000,
  loss: 12.3456,
  gradientNorm: 1,
  clipFactor: 1,
  learningRate: 1,
  tokens: 2048,
  milliseconds: 1,
};

for (const columns of [20, 40, 80, 132]) {
  test.serial(`the bar fits a terminal of ${columns} columns, so that it is drawn over and not below itself`, (t) => {
    const text = drawn(columns, (report) => report.step(step, 1_000_000));
    t.true(text.startsWith('\r\u001b[2K'));
    const visible = stripVTControlCharacters(text).replace('\r', '');
    t.true(visible.length < columns, `${visible.length} characters`);
    t.is(visible.includes('loss 12.346'), columns > 20);
    t.is(visible.includes('█'.repeat(24)), columns === 132);
  });
}

test.serial('a line after the bar begins below it', (t) => {
  const text = drawn(80, (report) => {
    report.step(step, 1_000_000);
    report.evaluation(1_000_000, 'validation', { loss: 1.5, perplexity: 4.48 });
    report.done({}, 'saved');
  });
  t.regex(stripVTControlCharacters(text), /left\nstep 1000000: validation loss 1\.500, perplexity 4\.480\nsaved\n$/);
});
