/** Every task; a new one needs only its row here. */
import { FormatError } from '../../formats/errors.js';
import { OptionError } from '../../program/options.js';
import { classifyTask } from './classify.js';
import { forecastTask } from './forecast.js';
import { BARE, kindOf } from './kind.js';
import { labelTask } from './label.js';
import { languageModelTask } from './lm.js';
import { maskedTask } from './mlm.js';
import type { Task } from './task.js';
import { tokensTask } from './tokens.js';

export const tasks: readonly Task[] = [
  languageModelTask,
  maskedTask,
  classifyTask,
  labelTask,
  tokensTask,
  forecastTask,
];

/** The task that the model of a folder is for. @throws FileError, FormatError; OptionError for an encoder without a task */
export async function taskOf(folder: string): Promise<Task> {
  const kind = await kindOf(folder);
  const task = tasks.find(({ modelTypes }) => modelTypes.includes(kind));
  if (task !== undefined) return task;
  if (kind === BARE)
    throw new OptionError(
      `${folder}: Expected a model with a task but received an encoder: seqgrad embed --model ${folder}`,
    );
  const known = tasks.flatMap(({ modelTypes }) => modelTypes.map((each) => `"${each}"`)).join(' or ');
  throw new FormatError(`${folder}/config.json`, undefined, `a model of the kind ${known}`, JSON.stringify(kind));
}
