/** `seqgrad train <task>`. */
import type { Command } from 'commander';
import { tasks } from './tasks/index.js';

export function defineTrain(program: Command): void {
  const train = program.command('train').description('train a model');
  for (const task of tasks)
    task.define(train.command(task.name).description(`train ${task.summary}`).summary(task.summary));
}
