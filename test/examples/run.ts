/** Runs examples as a user does, and reads what they print. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { Backend } from '../../src/backends/executor.js';
import { tried } from '../train/backends.js';

const NUMBER = /[-+]?\d+(\.\d+)?(e[-+]?\d+)?/g;

/** What an example prints on a backend. */
export async function runExample(name: string, backend: Backend, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, SEQGRAD_BACKEND: backend.name, SEQGRAD_ISA: backend.isa, SEQGRAD_THREADS: '1' };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...process.execArgv, `dist/examples/${name}.js`, ...args],
    { env },
  );
  return stdout;
}

/** The output that an example's page shows: its only block of plain text. */
export async function outputOnPage(name: string): Promise<string> {
  const page = await readFile(`examples/${name}.md`, 'utf8');
  const blocks = [...page.matchAll(/```text\n([\s\S]*?)```/g)];
  if (blocks.length !== 1) throw new Error(`Expected one block of output in ${name}.md but found ${blocks.length}`);
  return blocks[0]?.[1] as string;
}

/** The numbers behind a line's label. */
export function numbers(output: string, label: string): number[] {
  const line = output.split('\n').find((candidate) => candidate.startsWith(label));
  if (line === undefined) throw new Error(`Expected a line that begins with "${label}" in\n${output}`);
  return (line.slice(label.length).match(NUMBER) ?? []).map(Number);
}

/** The same lines with no numbers in them, spaces aside. */
export const layout = (output: string): string => output.replaceAll(NUMBER, '#').replaceAll(/[ ]+/g, ' ').trim();

const places = (number: string): number => /\.(\d+)/.exec(number)?.[1]?.length ?? 0;

/** Where two outputs differ by more than float32 arithmetic and the rounding of what is printed: by one in the last place. */
export function differences(a: string, b: string): string[] {
  if (layout(a) !== layout(b)) return [`${layout(a)}\nis not\n${layout(b)}`];
  const [left, right] = [a.match(NUMBER) ?? [], b.match(NUMBER) ?? []];
  return left.flatMap((one, index) => {
    const other = right[index] as string;
    const unit = 10 ** -places(one) * 10 ** Number(/e(.+)/.exec(one)?.[1] ?? 0);
    return Math.abs(Number(one) - Number(other)) <= 1.01 * unit ? [] : [`${one} is not ${other}`];
  });
}

/** Whether numbers are those expected, up to a bound for each. */
export const near = (actual: readonly number[], expected: readonly number[], bound: number): boolean =>
  actual.length === expected.length && actual.every((value, i) => Math.abs(value - (expected[i] as number)) <= bound);

/** A test for native and WASM: what trains for a second there trains for minutes in plain JavaScript. */
export function onFast(title: string, run: (t: ExecutionContext, backend: Backend) => Promise<void>): void {
  for (const { name, backend, cause } of tried) {
    const reason = name === 'reference' ? 'minutes of plain JavaScript' : cause;
    if (backend === undefined || name === 'reference') test.skip(`${title} (${name}) (skipped: ${reason})`, () => {});
    else test(`${title} (${name})`, (t) => run(t, backend));
  }
}
