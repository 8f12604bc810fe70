/** Runs the command as users do: as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Waits until the output so far matches. */
  seen(pattern: RegExp): Promise<void>;
}

export function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  { file = main, input = '', timeout = 60_000 } = {},
): Running {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SEQGRAD_')));
  const child = spawn(process.execPath, [file, ...args], {
    env: { ...inherited, ...environment },
    stdio: 'pipe',
    timeout,
  });
  child.stdin.on('error', () => {}); // it may end before it has read all
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    stdout += piece;
    for (const listener of listeners) listener();
  });
  child.stderr.setEncoding('utf8').on('data', (piece) => {
    stderr += piece;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', stdout, stderr })),
  );
  const seen = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!pattern.test(stdout + stderr)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      void ended.then((end) => reject(new Error(`ended before ${pattern}: ${JSON.stringify(end)}`)));
      look();
    });
  return { child, ended, seen };
}

export const run = (args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Ended> =>
  start(args, environment).ended;

/** The same with another copy of the command. */
export const runFile = (
  file: string,
  args: readonly string[],
  environment?: Readonly<Record<string, string>>,
): Promise<Ended> => start(args, environment, { file }).ended;

export const linesOf = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'seqgrad-cli-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
