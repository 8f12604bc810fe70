/** What kind of model a folder holds. */
import { join } from 'node:path';
import { readJsonObject } from '../../formats/json.js';
import { readModelConfig } from '../../models/folder.js';

/** A BERT of which nothing is said but that. */
export const BARE = 'BertModel';

/**
 * What its config.json calls the model: our `model_type`, or of BERTs, ours and Hugging Face's, the first of its `architectures`.
 * @throws FileError, FormatError
 */
export async function kindOf(folder: string): Promise<string> {
  const { format_version, model_type, architectures } = await readJsonObject(join(folder, 'config.json'));
  const isHuggingFace = format_version === undefined && (model_type !== undefined || architectures !== undefined);
  if (model_type !== 'bert' && !isHuggingFace) return String((await readModelConfig(folder)).model_type);
  const [first = BARE] = Array.isArray(architectures) ? architectures : [];
  return String(first);
}
