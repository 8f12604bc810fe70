/** Text and small models for tests: nothing outside the repository is needed. */
import type { Backend } from '../../src/backends/executor.js';
import { CharacterVocabulary } from '../../src/data/vocabulary.js';
import { LanguageModel, type LanguageModelOptions } from '../../src/models/language-model.js';
import type { Model } from '../../src/train/model.js';
import { randomFrom } from '../support/random.js';

const words = ['the', 'cell', 'forgets', 'what', 'a', 'gate', 'lets', 'through', 'and', 'keeps', 'its', 'state'];

/** Words in random order: something to learn, the same in every run. */
export function textOf(characters: number, seed = 'text'): string {
  const random = randomFrom(seed);
  let text = '';
  while (text.length < characters)
    text += `${words[random.integer(0, words.length - 1)]}${random.uniform() < 0.1 ? '.\n' : ' '}`;
  return text.slice(0, characters);
}

export const text = textOf(3000);
export const vocabulary = CharacterVocabulary.fromText(text);

export const smallModel = (backend: Backend, options: Partial<LanguageModelOptions> = {}): Promise<LanguageModel> =>
  LanguageModel.create({ vocabulary, hiddenSize: 12, embeddingSize: 7, seed: 5, ...options, backend });

/** Bits of all parameters, as one string to compare. */
export async function bitsOf(model: Model): Promise<string> {
  const parameters = await model.readParameters();
  return parameters.map(([{ name }, values]) => `${name} ${Buffer.from(values.buffer).toString('base64')}`).join('\n');
}
