/** Registers the conformance tests of an instruction: each backend against the reference, and those of a group with each other. */
import test from 'ava';
import { type InstructionName, specOf } from '../../src/program/instructions.js';
import { laneCounts, laneDifferences, twins } from '../wasm/same-bits.js';
import type { Outcome } from './bench.js';
import type { Case } from './case.js';
import { bitDifferences, examine, type Question, questionOf, report } from './examine.js';
import { askedOfReplay } from './replay.js';
import { subjects } from './subjects.js';

/** Lanes of WASM are for `npm test`: whoever asks for kernels in replay has seen them. */
const lanesOf = askedOfReplay().length === 0 ? twins : [];

/** A case per title: two of the same name would have the same values. */
function checkTitles(cases: readonly Case[]): void {
  const titles = new Set(cases.map(({ title }) => title));
  if (titles.size !== cases.length)
    throw new Error(`${cases.length - titles.size} cases have a title that another one has`);
}

const takesBfloat16 = (instruction: InstructionName): boolean => specOf(instruction).dims.includes('bfloat16');

export function conforms(instruction: InstructionName, cases: readonly Case[]): void {
  checkTitles(cases);
  let questions: Promise<Question[]> | undefined;
  const ask = (): Promise<Question[]> => {
    questions ??= (async () => {
      const asked: Question[] = [];
      for (const testCase of cases) asked.push(await questionOf(testCase)); // one after the other: they share a heap
      return asked;
    })();
    return questions;
  };
  const groups = new Map<string, Map<string, (Outcome | undefined)[]>>();

  const examined = subjects.filter(({ forBfloat16 }) => !forBfloat16 || takesBfloat16(instruction));
  for (const subject of examined) {
    const { title, group } = subject;
    test.serial(`${instruction}: ${title} agrees with the float64 reference (${cases.length} cases)`, async (t) => {
      const reports: string[] = [];
      const outcomes: (Outcome | undefined)[] = [];
      for (const question of await ask()) {
        const { violations, outcome } = await examine(subject, question);
        outcomes.push(outcome);
        if (violations.length > 0) reports.push(report(question.testCase, violations));
      }
      if (group !== undefined) groups.set(group, (groups.get(group) ?? new Map()).set(title, outcomes));
      t.deepEqual(reports.slice(0, 5), [], `${reports.length} cases of ${cases.length}`);
    });
  }
  for (const build of lanesOf) {
    test.serial(
      `${instruction}: ${build}.shared on ${laneCounts.join(', ')} lanes = ${build}, bit for bit`,
      async (t) => {
        t.deepEqual(await laneDifferences(build, cases), []);
      },
    );
  }
  for (const name of new Set(examined.map(({ group }) => group))) {
    const titles = examined.filter(({ group }) => group === name).map(({ title }) => title);
    if (name === undefined || titles.length < 2) continue; // subjects.test.ts says so
    test.serial(`${instruction}: ${titles.join(' = ')}, bit for bit`, (t) => {
      const reports = bitwiseReports(cases, groups.get(name) ?? new Map());
      t.deepEqual(reports.slice(0, 5), [], `${reports.length} comparisons`);
    });
  }
}

/** Where the outcomes of a group's members differ from those of the first. */
function bitwiseReports(cases: readonly Case[], members: ReadonlyMap<string, (Outcome | undefined)[]>): string[] {
  const [first, ...others] = [...members];
  const reports: string[] = [];
  for (const [title, outcomes] of others) {
    for (const [index, testCase] of cases.entries()) {
      const [a, b] = [first?.[1][index], outcomes[index]];
      if (a === undefined || b === undefined) continue; // its own test has failed
      const differences = bitDifferences(testCase, a, b).map((words) => `${first?.[0]}, ${title}: ${words}`);
      if (differences.length > 0) reports.push(report(testCase, differences));
    }
  }
  return reports;
}
