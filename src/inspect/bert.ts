/**
 * Vector–Jacobian products of a BERT with or without a head, attention probabilities and gradients by name: what `seqgrad grad` computes, as a
 * function of arrays. Names and shapes are those of docs/gradient-exchange.md: batch first, Hugging Face's parameter names.
 */
import { Engine } from '../backends/engine.js';
import type { Backend } from '../backends/executor.js';
import { IGNORED } from '../data/ignored.js';
import { differentiate } from '../graph/differentiate.js';
import { Graph } from '../graph/graph.js';
import { plan } from '../graph/plan.js';
import type { Tensor } from '../graph/tensor.js';
import { Bert, ClassifierHead, LanguageModelHead } from '../nn/bert.js';
import type { BertConfig } from '../nn/bert-config.js';
import { Parameters, partsOf } from '../nn/parameters.js';
import { full, reshape } from '../ops/copy.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { divideBy, mul, subtract } from '../ops/elementwise.js';
import { embedding } from '../ops/embedding.js';
import { sum } from '../ops/reduce.js';
import { sizeOf } from '../program/variable.js';
import type { ArrayShapes, NamedArray, NamedArrays } from './named-arrays.js';

export const architectures = [
  'BertModel',
  'BertForMaskedLM',
  'BertForSequenceClassification',
  'BertForTokenClassification',
] as const;

export interface InspectedBert {
  readonly architecture: (typeof architectures)[number];
  readonly config: BertConfig;
  /** The token that does not learn from being looked up, if there is one: PyTorch's `padding_idx`. */
  readonly paddingToken?: number | undefined;
  /** Outputs of a classifier. */
  readonly classes: number;
  /** Whether a BertModel has a pooler. */
  readonly pooler: boolean;
  /** Whether a classifier of one class is given numbers, whose squared error counts. */
  readonly regression: boolean;
}

export interface BatchSize {
  readonly batch: number;
  readonly time: number;
}

/** The modules of a model; `logits` of hidden states [B, T, C], [rows, classes]. */
interface Modules {
  readonly parameters: Parameters;
  readonly bert: Bert;
  readonly head: LanguageModelHead | undefined;
  readonly logits: ((hidden: Tensor) => Tensor) | undefined;
}

const rowsOf = (hidden: Tensor): Tensor =>
  reshape(hidden, [sizeOf(hidden.shape.slice(0, -1)), hidden.shape.at(-1) as number]);

function modulesOf({ architecture, config, classes, pooler }: InspectedBert): Modules {
  const parameters = new Parameters();
  const { scope } = parameters;
  if (architecture === 'BertModel')
    return { parameters, bert: new Bert(scope, config, { pooler }), head: undefined, logits: undefined };
  const ofText = architecture === 'BertForSequenceClassification';
  const bert = new Bert(scope.child('bert'), config, { pooler: ofText });
  if (architecture === 'BertForMaskedLM') {
    const head = new LanguageModelHead(scope.child('cls.predictions'), config, bert.words);
    return { parameters, bert, head, logits: (hidden) => head.logits(rowsOf(hidden)) };
  }
  const classifier = new ClassifierHead(scope, config, classes);
  const logits = (hidden: Tensor): Tensor => classifier.forward(ofText ? bert.pool(hidden) : rowsOf(hidden), {});
  return { parameters, bert, head: undefined, logits };
}

/** The shape of a head's logits. */
function logitsShape({ architecture, config, classes }: InspectedBert, { batch, time }: BatchSize): readonly number[] {
  if (architecture === 'BertForSequenceClassification') return [batch, classes];
  return [batch, time, architecture === 'BertForMaskedLM' ? config.vocabularySize : classes];
}

/** Tensors of a model for B rows of T positions. */
export function bertShapes(model: InspectedBert, { batch, time }: BatchSize): ArrayShapes {
  const { architecture, config, pooler } = model;
  const steps = [batch, time];
  const ofModel = [
    ['upstream.last_hidden_state', [batch, time, config.hiddenSize]],
    ...(pooler ? ([['upstream.pooler_output', [batch, config.hiddenSize]]] as const) : []),
  ] as const;
  const shape = logitsShape(model, { batch, time });
  const ofHead = [
    ['upstream.logits', shape],
    ['input.labels', shape.slice(0, -1)],
  ] as const;
  return {
    required: new Map([
      ...modulesOf(model).parameters.arena.variables.map(({ name, shape }) => [name, shape] as const),
      ['input.input_ids', steps],
    ]),
    optional: new Map([
      ['input.token_type_ids', steps],
      ['input.attention_mask', steps],
      ...(architecture === 'BertModel' ? ofModel : ofHead),
    ]),
  };
}

/** A traced model: its outputs, and what the objective is made of. */
interface Traced {
  readonly outputs: ReadonlyMap<string, readonly [tensor: Tensor, shape: readonly number[]]>;
  readonly from: ReadonlyMap<Tensor, Tensor>;
}

/** Inputs of a graph, with the values of arrays of the same name. */
class Inputs {
  readonly values: Record<string, NamedArray['values']> = {};

  constructor(
    readonly graph: Graph,
    readonly arrays: NamedArrays,
  ) {}

  /** An input with these values. */
  given(name: string, shape: readonly number[], values: NamedArray['values'], type: 'f32' | 'i32' = 'i32'): Tensor {
    this.values[name] = values;
    return this.graph.input(name, shape, type);
  }

  /** An input for an array, if it is there. */
  array(name: string, shape: readonly number[], type: 'f32' | 'i32'): Tensor | undefined {
    const array = this.arrays.get(name);
    return array && this.given(name, shape, array.values, type);
  }
}

/** The objective of a head with labels: the mean of the loss over the labels that count. */
function lossOf(inputs: Inputs, model: InspectedBert, { head }: Modules, hidden: Tensor, logits: Tensor): Tensor {
  const { graph, arrays } = inputs;
  const { values } = arrays.get('input.labels') as NamedArray;
  if (model.regression) {
    const difference = subtract(logits, inputs.given('labels', logits.shape, values, 'f32'));
    return divideBy(sum(mul(difference, difference)), full(graph, [1], values.length));
  }
  const counted = [...values.keys()].filter((index) => values[index] !== IGNORED);
  const denominator = full(graph, [1], counted.length);
  if (head === undefined) return crossEntropy(logits, inputs.given('labels', [values.length], values), denominator);
  const positions = inputs.given('positions', [counted.length], Int32Array.from(counted));
  const labels = Int32Array.from(counted, (index) => values[index] as number);
  const rows = embedding(rowsOf(hidden), positions);
  return head.loss(rows, inputs.given('labels', [counted.length], labels), denominator);
}

function trace(inputs: Inputs, model: InspectedBert, modules: Modules, { batch: B, time: T }: BatchSize): Traced {
  const { graph, arrays } = inputs;
  const { bert } = modules;
  const ids = (arrays.get('input.input_ids') as NamedArray).values;
  const types = arrays.get('input.token_type_ids')?.values ?? new Int32Array(B * T);
  const learnt = Int32Array.from(ids, (id) => (id === model.paddingToken ? -1 : id));
  const tokens = {
    tokens: inputs.given('tokens', [B, T], ids),
    types: inputs.given('types', [B, T], types),
    learnt: inputs.given('learnt', [B, T], learnt),
    mask: inputs.array('input.attention_mask', [B, T], 'i32'),
  };
  const hidden = bert.forward(graph, tokens, {});
  const outputs = new Map<string, readonly [Tensor, readonly number[]]>();
  const from = new Map<Tensor, Tensor>();
  const output = (name: string, tensor: Tensor, shape: readonly number[]): void => {
    outputs.set(`output.${name}`, [tensor, shape]);
    const upstream = inputs.array(`upstream.${name}`, tensor.shape, 'f32');
    if (upstream !== undefined) from.set(tensor, upstream);
  };
  const logits = modules.logits?.(hidden);
  if (logits === undefined) {
    output('last_hidden_state', hidden, hidden.shape);
    if (model.pooler) {
      const pooled = bert.pool(hidden);
      output('pooler_output', pooled, pooled.shape);
    }
    return { outputs, from };
  }
  output('logits', logits, logitsShape(model, { batch: B, time: T }));
  if (arrays.has('input.labels')) {
    const loss = lossOf(inputs, model, modules, hidden, logits);
    outputs.set('output.loss', [loss, [1]]);
    from.set(loss, full(graph, [1], 1));
  }
  return { outputs, from };
}

/**
 * Outputs and gradients of a BERT: `output.*`, `grad.*`, and with `inspect` `inspect.*.probs` and `inspect.grad.*`.
 * @param tensors as {@link bertShapes} says; a missing upstream gradient is zero. Labels that do not count are −100
 */
export async function bertGradients(
  model: InspectedBert,
  tensors: NamedArrays,
  { backend, inspect }: { readonly backend: Backend; readonly inspect: boolean },
): Promise<Map<string, NamedArray>> {
  const modules = modulesOf(model);
  const [batch = 0, time = 0] = tensors.get('input.input_ids')?.shape ?? [];
  const graph = new Graph();
  const inputs = new Inputs(graph, tensors);
  const { outputs, from } = trace(inputs, model, modules, { batch, time });
  const { arena } = modules.parameters;
  const blocks = arena.blocks.map((block) => [block, graph.read(block)] as const);
  const probes = inspect ? [...graph.probes] : [];
  const gradients = differentiate(graph, {
    from,
    to: [...blocks.map(([, tensor]) => tensor), ...probes.map(([, { of }]) => of)],
  });

  const shapes = new Map<string, readonly number[]>();
  const result = (name: string, tensor: Tensor | undefined, shape: readonly number[]): void => {
    shapes.set(name, shape);
    if (tensor !== undefined) graph.output(name, tensor);
  };
  for (const [name, [tensor, shape]] of outputs) result(name, tensor, shape);
  for (const [block, tensor] of blocks) {
    const gradient = gradients.get(tensor);
    for (const { variable, select } of partsOf(block))
      result(`grad.${variable.name}`, gradient && select(gradient), variable.shape);
  }
  for (const [name, { of, select }] of probes) {
    const value = select(of);
    const gradient = gradients.get(of);
    if (name.endsWith('.probs')) result(`inspect.${name}`, value, value.shape);
    result(`inspect.grad.${name}`, gradient && select(gradient), value.shape);
  }

  const engine = new Engine(backend);
  await engine.place(arena);
  const found = await engine.use(async (session) => {
    await Promise.all(
      arena.variables.map((variable) => session.write(variable, (tensors.get(variable.name) as NamedArray).values)),
    );
    return session.run(plan(graph), inputs.values);
  });
  const zeros = (shape: readonly number[]) =>
    engine.elementBytes === 8 ? new Float64Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
  return new Map([...shapes].map(([name, shape]) => [name, { shape, values: found[name] ?? zeros(shape) }]));
}
