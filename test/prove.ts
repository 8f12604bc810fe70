/**
 * Proofs: the suites once more, on native code that is built another way. Run as `node dist/test/prove.js arm64 | asan | tsan`.
 *
 * - `arm64`: the conformance suite and whole trainings on the NEON kernels, cross-compiled and emulated; in strict numerics their
 *   bits are compared with those of this machine's kernels and of WASM.
 * - `asan`, `tsan`: the conformance suite through replay with sanitizers; then trainings, and the tests of the addon itself, inside
 *   Node with a sanitized addon. CONTRIBUTING.md says what each can see.
 *
 * Those with sanitizers begin with planted faults that must be found.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { probeNative } from '../src/backends/native.js';
import { RESERVED_ELEMENTS } from '../src/program/check.js';
import { type AnyCall, encode } from '../src/program/encode.js';
import { BuildError, run } from '../src/toolchain/command.js';
import { type Built, buildVariant, runtimeLibrary, type VariantName } from '../src/toolchain/variant.js';
import { type Asked, replayBackend } from './support/replay.js';

const folder = relative('.', import.meta.dirname);
const filesOf = (part: string): string[] =>
  readdirSync(join(folder, part))
    .filter((name) => name.endsWith('.test.js') && !name.endsWith('.slow.test.js'))
    .map((name) => join('dist/test', part, name));

/** What is examined through replay: every instruction, trainings from end to end, programs that are damaged. */
const throughReplay = [...filesOf('conformance'), 'dist/test/train/strict.test.js'];
const damagedPrograms = 'dist/test/program/malformed.test.js';
/**
 * What is examined inside Node: trainings, and all that the addon and its threads can meet. The trainings of strict.test.js have
 * been examined through replay, on every ISA and number of threads; bert-memory.test.js measures a process that must have no
 * memory but its own.
 */
const insideNode = [
  ...filesOf('native'),
  ...filesOf('train').filter((file) => !/\/(strict|bert-memory)\.test\.js$/.test(file)),
  'dist/test/conformance/executor.test.js',
];

/** Sanitizers, told where to write and what else they need. */
interface Sanitizer {
  /** The library that must be in a process before anything else. */
  readonly library: string;
  readonly environment: (reports: string) => Record<string, string>;
  /** Other settings inside Node, and whether a report there is of the addon. */
  readonly insideNode: {
    readonly options: Readonly<Record<string, string>>;
    readonly isOurs: (report: string) => boolean;
  };
  /** Calls that do what the sanitizer is there for, on a heap that has fewer elements than the program was checked for. */
  readonly planted: { readonly calls: readonly AnyCall<number>[]; readonly missing: number; readonly seen: string };
}

/** Where the two accesses of a data race lie: the innermost frame of each that is not ThreadSanitizer's own. */
function accessesOf(report: string): string[] {
  const [accesses = ''] = report.split(/^ {2}(?:Location|Mutex|Thread) /m);
  const stacks = accesses.split(/\n\n/).map((stack) => stack.split('\n').filter((line) => /^ +#\d/.test(line)));
  return stacks.flatMap((frames) => frames.find((frame) => !frame.includes('libtsan')) ?? []);
}

const ELEMENTS = RESERVED_ELEMENTS + 3 * 16384;

const sanitizers: Readonly<Record<'asan' | 'tsan', Sanitizer>> = {
  asan: {
    library: 'libasan.so',
    environment: (reports) => ({
      // Memory faults within WebAssembly are V8's to handle; it makes traps of them.
      ASAN_OPTIONS: `log_path=${reports}/asan:handle_segv=0:handle_sigbus=0:allocator_may_return_null=1`,
      UBSAN_OPTIONS: `log_path=${reports}/ubsan:print_stacktrace=1`,
    }),
    // Node leaves much for the end of the process to clear up.
    insideNode: { options: { ASAN_OPTIONS: 'detect_leaks=0' }, isOurs: () => true },
    planted: {
      // A part of a vector that is written, and one that is read, beyond the end.
      calls: [
        { instruction: 'fill', operands: { y: ELEMENTS - 7 }, dims: { n: 7 }, scalars: { value: 1 } },
        {
          instruction: 'scale',
          operands: { x: ELEMENTS - 7, y: RESERVED_ELEMENTS },
          dims: { n: 7 },
          scalars: { factor: 2 },
        },
      ],
      missing: 1,
      seen: 'ERROR: AddressSanitizer', // part of a vector is an unknown-crash to it
    },
  },
  tsan: {
    library: 'libtsan.so',
    environment: (reports) => ({ TSAN_OPTIONS: `log_path=${reports}/tsan` }),
    // V8 and Node order what they do by means that they were not compiled to show: their races are none, and end no process.
    insideNode: {
      options: { TSAN_OPTIONS: 'exitcode=0' },
      isOurs: (report) => accessesOf(report).some((place) => place.includes('seqgrad.node')),
    },
    planted: {
      // One ticket reads what another one writes: a planner makes no such call.
      calls: [
        {
          instruction: 'scale',
          operands: { x: RESERVED_ELEMENTS, y: RESERVED_ELEMENTS + 16384 },
          dims: { n: 2 * 16384 },
          scalars: { factor: 2 },
        },
      ],
      missing: 0,
      seen: 'data race',
    },
  },
};

interface Tests {
  readonly files: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Whether all tests pass. Emulated and sanitized code takes its time. */
function pass({ files, cwd, environment }: Tests): Promise<boolean> {
  const args = ['dist/test/run.js', '--timeout=60m', '--concurrency=1', ...files];
  const child = spawn(process.execPath, args, { stdio: 'inherit', cwd, env: { ...process.env, ...environment } });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code === 0)));
}

/** What sanitizers have written since this was last asked. */
function takeReports(reports: string): string {
  const files = existsSync(reports) ? readdirSync(reports).map((name) => join(reports, name)) : [];
  const texts = files.map((file) => readFileSync(file, 'utf8'));
  for (const file of files) rmSync(file);
  return texts.join('\n');
}

const BETWEEN_REPORTS = '==================\n';

class ProofFailed extends Error {}

async function proveReplay(
  kernels: readonly Asked[],
  files: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const asked = { ...environment, SEQGRAD_REPLAY: JSON.stringify(kernels) };
  if (!(await pass({ files, cwd: '.', environment: asked }))) throw new ProofFailed('tests have failed');
}

async function proveArm64({ tools, file }: Built): Promise<void> {
  const kernels = [{ place: 'arm64', isa: 'neon', command: [tools.emulator as string, file('replay')] }];
  await proveReplay(kernels, [...throughReplay, damagedPrograms], {});
}

/** Whether a sanitizer sees, through replay, what a call does. */
async function findPlanted(
  kernels: Asked,
  call: AnyCall<number>,
  { planted }: Sanitizer,
  reports: string,
): Promise<void> {
  const backend = replayBackend({ ...kernels, numerics: 'fast', threads: 3 });
  const executor = backend.createExecutor();
  try {
    await executor.grow(ELEMENTS - planted.missing);
    const program = await executor.load(encode([call]), ELEMENTS);
    for (let round = 0; round < 100; round++) await program.run();
  } catch {
    // The sanitizer has ended the process; its report says why.
  } finally {
    await executor.close();
  }
  const found = takeReports(reports);
  const what = `${planted.seen} of ${call.instruction} on ${kernels.isa}`;
  if (!found.includes(planted.seen))
    throw new ProofFailed(`Expected the planted fault to be reported (${what}) but received ${found}`);
  console.log(`The planted fault has been found: ${what}`);
}

async function proveSanitized(name: 'asan' | 'tsan', { folder: mirror, tools, file }: Built): Promise<void> {
  const sanitizer = sanitizers[name];
  const reports = join(mirror, 'reports');
  mkdirSync(reports, { recursive: true });
  takeReports(reports);
  const environment = sanitizer.environment(reports);
  Object.assign(process.env, environment);
  const expectNone = (counts: (report: string) => boolean): void => {
    const found = takeReports(reports)
      .split(BETWEEN_REPORTS)
      .filter((report) => report.trim() !== '' && counts(report));
    if (found.length > 0) throw new ProofFailed(`Expected no report but received\n${found.join(BETWEEN_REPORTS)}`);
  };

  const kernels = probeNative()
    .filter(({ usable }) => usable)
    .map(({ isa }) => ({ place: name, isa, command: [file('replay')] }));
  process.env.SEQGRAD_PLANTED_FAULT = '1';
  for (const one of kernels) {
    for (const call of sanitizer.planted.calls) await findPlanted(one, call, sanitizer, reports);
  }
  delete process.env.SEQGRAD_PLANTED_FAULT;

  // Operands of damaged programs overlap. What tickets then read is any number, and no fault.
  const files = name === 'tsan' ? throughReplay : [...throughReplay, damagedPrograms];
  await proveReplay(kernels, files, environment);
  expectNone(() => true);

  const library = await runtimeLibrary(tools.cxx as string, sanitizer.library);
  const others = Object.entries(sanitizer.insideNode.options).map(([options, more]) => [
    options,
    `${environment[options]}:${more}`,
  ]);
  const inNode = { ...environment, ...Object.fromEntries(others), LD_PRELOAD: library };
  const addon = JSON.stringify(file('seqgrad.node'));
  const without = await run(process.execPath, '-e', `require(${addon})`);
  if (without.code === 0) throw new ProofFailed('Expected an addon that needs the sanitizer but it loads without');
  if (!(await pass({ files: insideNode, cwd: mirror, environment: inNode })))
    throw new ProofFailed('tests have failed');
  expectNone(sanitizer.insideNode.isOurs);
}

const names: readonly VariantName[] = ['arm64', 'asan', 'tsan'];
const asked = names.find((name) => name === process.argv[2]);

try {
  if (asked === undefined) throw new ProofFailed(`Expected one of ${names.join(', ')} but received ${process.argv[2]}`);
  const built = await buildVariant(asked);
  if ('lack' in built) throw new ProofFailed(`Expected what ${asked} needs but there is ${built.lack}`);
  if (asked === 'arm64') await proveArm64(built);
  else await proveSanitized(asked as 'asan' | 'tsan', built);
  console.log(`${asked}: nothing found`);
} catch (error) {
  if (!(error instanceof ProofFailed || error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
