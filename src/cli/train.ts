/** `seqgrad train <task>`. */
import type { Command } from 'commander';
import { languageModelTask } from './tasks/lm.js';
import type { Task } from './tasks/task.js';

/** Every training task; a new one needs only its row here. */
const tasks: readonly Task[] = [languageModelTask];

export function defineTrain(program: Command): void {
  const train = program.command('train').description('train a model');
  for (const task of tasks) task.define(train.command(task.name).description(task.summary));
}
