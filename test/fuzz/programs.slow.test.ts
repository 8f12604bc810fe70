/** A minute of libFuzzer on the program decoder and all kernels: whatever the words, they are refused or stay within the heap. */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { buildVariant, variantLack } from '../../src/toolchain/variant.js';
import { seeds, trainingSeeds } from './seeds.js';

const SECONDS = 60;
const MINUTES_60 = 3_600_000;

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

function fuzz(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(file, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ASAN_OPTIONS: 'allocator_may_return_null=1', ...environment },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-20_000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}

const title = `no program crashes the native kernels in ${SECONDS} seconds of fuzzing`;
const lack = await variantLack('fuzz');

if (lack !== undefined) {
  test.skip(`${title} (skipped: ${lack})`, () => {});
} else {
  const folder = join('build', 'fuzz');
  const [seedFolder, corpus, found] = ['seeds', 'corpus', 'found'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  let file = '';

  test.before(async (t) => {
    t.timeout(MINUTES_60); // most of it the compiler's
    const built = await buildVariant('fuzz');
    if ('lack' in built) throw new Error(built.lack);
    file = built.file('fuzz');
    await Promise.all([seedFolder, corpus].map((its) => rm(its, { recursive: true, force: true })));
    await Promise.all([seedFolder, corpus, found].map((its) => mkdir(its, { recursive: true })));
    const inputs = [...seeds(), ...(await trainingSeeds())];
    await Promise.all(inputs.map((bytes, index) => writeFile(join(seedFolder, `${index}`), bytes)));
  });

  test.serial('planted fault: a heap that lacks its last element is found out by the seeds', async (t) => {
    const args = ['-runs=0', `-artifact_prefix=${found}/planted-`, seedFolder];
    const { code, said } = await fuzz(file, args, { SEQGRAD_PLANTED_FAULT: '1' });
    t.not(code, 0);
    t.regex(said, /heap-buffer-overflow/);
  });

  test.serial(title, async (t) => {
    t.timeout(4 * SECONDS * 1000);
    const args = [`-max_total_time=${SECONDS}`, '-timeout=60', '-max_len=16384', `-artifact_prefix=${found}/`];
    const { code, said } = await fuzz(file, [...args, corpus, seedFolder]);
    t.is(code, 0, said);
    t.regex(said, /Done \d+ runs/);
  });
}
