import { spawn } from 'node:child_process';

/** A step of the build that failed; its message is all there is to say. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

interface Finished {
  /** Exit code; null when the command could not be started or a signal ended it. */
  readonly code: number | null;
  /** Standard output and error, in order of arrival. */
  readonly output: string;
}

/** Variables for a program besides this process's own. */
type Environment = Readonly<Record<string, string>>;

/** Runs a program to its end and keeps what it says. */
export const run = (command: string, ...args: readonly string[]): Promise<Finished> => runIn({}, command, ...args);

function runIn(environment: Environment, command: string, ...args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', (error) => resolve({ code: null, output: output + error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** Runs a Node script to its end. @throws BuildError with all it said, if it fails. */
export const runNode = (script: string, ...args: readonly string[]): Promise<void> => runNodeIn({}, script, ...args);

/** The same with variables. */
export async function runNodeIn(environment: Environment, script: string, ...args: readonly string[]): Promise<void> {
  const { code, output } = await runIn(environment, process.execPath, script, ...args);
  if (code !== 0) throw new BuildError(`${output.trimEnd()}\n${script} ${args.join(' ')} failed`);
}
