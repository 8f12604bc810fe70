/** Where results go: JSON lines for machines, tables for people, and a word about progress for those who wait at a terminal. */
import { styleText } from 'node:util';
import type { Watch } from '../../bench/jobs.js';
import { describeInLines, describeMachine, type Machine } from '../../bench/machine.js';
import type { Failed } from '../../bench/measure.js';
import { nameOf } from '../../bench/subjects.js';
import type { OutputFlags } from './options.js';

/** A row for machines; numbers that are none become null. */
export type JsonRow = Readonly<Record<string, unknown>>;

export interface Printed {
  /** What the rows are about, above the table. */
  readonly title: string;
  readonly rows: readonly JsonRow[];
  /** The same for people. */
  readonly text: string;
  /** What a reader should know. */
  readonly notes?: readonly string[];
  readonly failures?: readonly Failed[];
}

export class Output {
  readonly machine: Machine = describeMachine();
  readonly #json: boolean;

  constructor({ json }: OutputFlags) {
    this.#json = json ?? !process.stdout.isTTY;
  }

  /** Shows what is being done, on a line that goes away. */
  readonly watch: Watch = (doing) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${styleText('dim', `… ${doing}`)}`);
  };

  /** Failures make the process end with exit code 1. */
  print({ title, rows, text, notes = [], failures = [] }: Printed): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
    if (failures.length > 0) process.exitCode = 1;
    const lines = this.#json
      ? this.#jsonLines(rows, notes, failures)
      : [
          emphasised(title),
          ...describeInLines(this.machine),
          ...notes,
          '',
          ...(text === '' ? [] : [text]),
          ...failures.map(({ subject, failure }) => `${nameOf(subject)}: ${failure}`),
        ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }

  #jsonLines(rows: readonly JsonRow[], notes: readonly string[], failures: readonly Failed[]): string[] {
    const { versions, cpu, cores, platform, load } = this.machine;
    const all = [
      ...notes.map((note) => ({ note })),
      ...rows.map((row) => ({ ...row, versions, cpu, cores, platform, load })),
      ...failures.map(({ subject, failure }) => ({ ...subject, failure })),
    ];
    return all.map((row) => JSON.stringify(row));
  }
}

const emphasised = (text: string): string => (process.stdout.isTTY ? styleText('bold', text) : text);
