/** Ways to end while the addon is at work, and how a process comes out of it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Ways for workers: one process lets many end. */
export const workerWays = [
  'worker is terminated',
  'worker is terminated at any time',
  'worker exits',
  'worker throws',
  'worker ends with an idle thread',
] as const;

/** Ways for a process, and the exit code it should have. */
export const processWays = {
  'process exits': 0,
  'process throws': 1,
  'process exits while workers work': 0,
  'process ends after closing': 0,
  'process ends with an idle thread': 0,
  'process drops its threads': 0,
} as const;

const victim = fileURLToPath(new URL('./victim.js', import.meta.url));

/** Runs victim.ts. @returns `exit code 0` or the like, with what it said if that was not to be. */
export function endingOf(way: string, count: number): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--expose-gc', victim, way, `${count}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('close', (code, signal) => {
      const isMeant = said === '' || said.includes('meant to be');
      resolve(`${signal ?? `exit code ${code}`}${isMeant ? '' : `: ${said}`}`);
    });
  });
}
