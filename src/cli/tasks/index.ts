/** Every task; a new one needs only its row here. */
import { FormatError } from '../../formats/errors.js';
import { readModelConfig } from '../../models/folder.js';
import { classifyTask } from './classify.js';
import { forecastTask } from './forecast.js';
import { labelTask } from './label.js';
import { languageModelTask } from './lm.js';
import type { Task } from './task.js';

export const tasks: readonly Task[] = [languageModelTask, classifyTask, labelTask, forecastTask];

/** The task that the model of a folder is for. @throws FileError, FormatError */
export async function taskOf(folder: string): Promise<Task> {
  const { model_type: type } = await readModelConfig(folder);
  const task = tasks.find(({ modelTypes }) => modelTypes.includes(type as string));
  if (task !== undefined) return task;
  const known = tasks.flatMap(({ modelTypes }) => modelTypes.map((each) => `"${each}"`)).join(' or ');
  throw new FormatError(`${folder}/config.json`, undefined, `"model_type": ${known}`, JSON.stringify(type) ?? 'none');
}
