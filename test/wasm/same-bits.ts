/** Runs cases on an unshared build and on its shared twin with several numbers of lanes, and reports every element that differs. */
import { RESERVED_ELEMENTS } from '../../src/backends/executor.js';
import { encode } from '../../src/program/encode.js';
import { type Case, inputsOf, operandsOf } from '../support/case.js';
import { describeElement, type Layout, layOut, turnOf } from '../support/layout.js';
import { type BuildName, builds, Team } from './team.js';

export const laneCounts = [1, 2, 3, 8] as const;
/** Each unshared build that works here. */
export const twins = (['simd', 'relaxed'] as const).filter((build) => builds.has(`${build}.shared`));

const CANARY = 0x7fc0dead;
const isNaNPattern = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;

/** All that lies between the first operand and the last, after the call. */
function heapAfter(team: Team, testCase: Case, { offsets, start, end }: Layout): Int32Array {
  team.ints.fill(CANARY, start, end);
  const inputs = inputsOf(testCase);
  for (const { name, spec } of operandsOf(testCase)) {
    const values = inputs.get(name);
    if (values !== undefined) (spec.type === 'i32' ? team.ints : team.floats).set(values, offsets[name] as number);
  }
  const { instruction, dims, scalars } = testCase;
  team.run(encode([{ instruction, operands: offsets, dims, scalars }]), Math.max(end, RESERVED_ELEMENTS));
  return team.ints.slice(start, end);
}

function differences(testCase: Case, layout: Layout, a: Int32Array, b: Int32Array): string[] {
  const found: string[] = [];
  for (const [index, bits] of a.entries()) {
    const other = b[index] as number;
    if (bits === other || (isNaNPattern(bits) && isNaNPattern(other))) continue;
    found.push(describeElement(layout.start + index, layout, operandsOf(testCase)));
    if (found.length === 3) break;
  }
  return found;
}

const teams = new Map<string, Promise<Team>>();

/** Teams are few and used again: their helpers spin and sleep while others work, which is one more thing to endure. */
function teamOf(build: BuildName, lanes: number): Promise<Team> {
  const key = `${build} ${lanes}`;
  const known = teams.get(key) ?? Team.of(build, lanes);
  teams.set(key, known);
  return known;
}

/** What differs between a build on one thread and its twin on some lanes, in words. */
export async function laneDifferences(build: (typeof twins)[number], cases: readonly Case[]): Promise<string[]> {
  const reports: string[] = [];
  const alone = await teamOf(build, 1);
  for (const testCase of cases) {
    const layout = layOut('misaligned', operandsOf(testCase), turnOf(testCase));
    const expected = heapAfter(alone, testCase, layout);
    for (const lanes of laneCounts) {
      const team = await teamOf(`${build}.shared`, lanes);
      const found = differences(testCase, layout, expected, heapAfter(team, testCase, layout));
      if (found.length > 0) reports.push(`${testCase.title}, ${build}, ${lanes} lanes: ${found.join('; ')}`);
    }
  }
  return reports;
}
