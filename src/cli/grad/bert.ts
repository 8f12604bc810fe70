/** `seqgrad grad` of a BERT. */
import { IGNORED } from '../../data/ignored.js';
import { FormatError } from '../../formats/errors.js';
import type { SafetensorsReader } from '../../formats/safetensors.js';
import { architectures, bertGradients, bertShapes, type InspectedBert } from '../../inspect/bert.js';
import type { NamedArrays } from '../../inspect/named-arrays.js';
import { bertFromJson, labelsFromJson } from '../../models/bert-json.js';
import type { GradientsOf, Question } from './question.js';
import { checkValues, readTensors } from './tensors.js';

const INPUTS = ['input.input_ids', 'input.token_type_ids', 'input.attention_mask'];

/** Tensors of a Hugging Face model that repeat others. */
const REDUNDANT = [
  'embeddings.position_ids',
  'bert.embeddings.position_ids',
  'cls.predictions.decoder.weight',
  'cls.predictions.decoder.bias',
];

/** Whether a configuration is of one of these models. */
export const isBert = ({ model_type: type, architectures: names }: Question['config']): boolean =>
  type === 'bert' || (type === undefined && Array.isArray(names));

function architectureOf({ architectures: names }: Question['config'], file: string): InspectedBert['architecture'] {
  const found = Array.isArray(names) ? names[0] : names;
  const known = architectures.find((each) => each === found);
  if (known !== undefined) return known;
  const expected = architectures.map((each) => `"${each}"`).join(', ');
  throw new FormatError(file, undefined, `\`architectures\` to be one of ${expected}`, JSON.stringify(names) ?? 'none');
}

/** The model that a config.json and the tensors describe. @throws FormatError */
function modelOf({ config: json, configFile }: Question, reader: SafetensorsReader): InspectedBert {
  const architecture = architectureOf(json, configFile);
  const config = bertFromJson(json, configFile);
  const isClassifier = architecture.endsWith('Classification');
  const classes = isClassifier
    ? (labelsFromJson(json, configFile)?.length ?? reader.info('classifier.weight').shape[0] ?? 0)
    : 0;
  const labels = reader.tensors.get('input.labels');
  const isRegression = architecture === 'BertForSequenceClassification' && classes === 1;
  if (labels !== undefined && !isRegression && !labels.dtype.startsWith('I'))
    throw new FormatError(reader.file, labels.name, 'integers, as there are classes', labels.dtype);
  return {
    architecture,
    config,
    paddingToken: json.pad_token_id === undefined ? undefined : config.padToken,
    classes,
    pooler: architecture === 'BertModel' && reader.tensors.has('pooler.dense.weight'),
    regression: isRegression,
  };
}

/** @throws FormatError for ids, types, masks or labels that the model cannot have */
function checkInputs(
  file: string,
  { config, classes, architecture, regression }: InspectedBert,
  tensors: NamedArrays,
): void {
  const below = (name: string, count: number, what: string): void =>
    checkValues(file, name, tensors, `${what} from 0 to ${count - 1}`, (value) => value >= 0 && value < count);
  below('input.input_ids', config.vocabularySize, 'tokens');
  below('input.token_type_ids', config.tokenTypes, 'types');
  const { shape = [], values } = tensors.get('input.attention_mask') ?? {};
  const [B = 0, T = 0] = shape;
  for (let row = 0; row < B; row++) {
    if (values?.subarray(row * T, (row + 1) * T).some((each) => each !== 0)) continue;
    throw new FormatError(
      file,
      'input.attention_mask',
      'a position that is not 0 in each row',
      `only zeros in row ${row}`,
    );
  }
  const labels = tensors.get('input.labels');
  if (labels === undefined || regression) return;
  const count = architecture === 'BertForMaskedLM' ? config.vocabularySize : classes;
  const expected = `labels from 0 to ${count - 1}, or ${IGNORED}`;
  checkValues(file, 'input.labels', tensors, expected, (label) => label === IGNORED || (label >= 0 && label < count));
  if (labels.values.every((label) => label === IGNORED))
    throw new FormatError(file, 'input.labels', 'a label that counts', `only ${IGNORED}`);
}

export const gradientsOfBert: GradientsOf = async (question) => {
  const { tensorsFile: file, wide, ...options } = question;
  const { tensors, expected } = await readTensors(file, wide, (reader) => {
    const model = modelOf(question, reader);
    const { shape } = reader.info('input.input_ids');
    const [batch = 0, time = 0] = shape;
    const { maxPositions } = model.config;
    if (shape.length !== 2 || time > maxPositions) {
      const wanted = `shape [B, T] with T at most ${maxPositions} (max_position_embeddings)`;
      throw new FormatError(file, 'input.input_ids', wanted, `[${shape.join(', ')}]`);
    }
    const integers = model.regression ? INPUTS : [...INPUTS, 'input.labels'];
    return { ...bertShapes(model, { batch, time }), integers, ignored: REDUNDANT, model };
  });
  checkInputs(file, expected.model, tensors);
  return bertGradients(expected.model, tensors, options);
};
