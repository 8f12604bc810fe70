/**
 * Vector–Jacobian products of a recurrent layer stack, every value and gradient by name: what `seqgrad grad` computes, as a function
 * of arrays. Names and shapes are those of docs/gradient-exchange.md: batch first, PyTorch parameter names.
 */
import { Engine } from '../backends/engine.js';
import type { Backend, Result } from '../backends/executor.js';
import { swapFirstAxes } from '../data/swap-axes.js';
import { differentiate } from '../graph/differentiate.js';
import { Graph } from '../graph/graph.js';
import { plan } from '../graph/plan.js';
import type { Tensor } from '../graph/tensor.js';
import { Parameters } from '../nn/parameters.js';
import { Recurrent, type RecurrentConfig } from '../nn/recurrent.js';
import { sizeOf } from '../program/variable.js';
import type { ArrayShapes, NamedArray, NamedArrays } from './named-arrays.js';

/** Tensors of a layer stack for B rows of T steps. */
export function recurrentShapes(
  config: RecurrentConfig,
  { batch: B, time: T }: { batch: number; time: number },
): ArrayShapes {
  const { parameters, recurrent } = parametersOf(config);
  const { h, c } = stacked(config, recurrent, B);
  return {
    required: new Map([
      ...parameters.arena.variables.map(({ name, shape }) => [name, shape] as const),
      ['input.x', [B, T, config.inputSize]],
    ]),
    optional: new Map([
      ['input.h0', h],
      ...(c === undefined ? [] : [['input.c0', c] as const]),
      ['input.lengths', [B]],
      ['upstream.output', [B, T, recurrent.outputSize]],
      ['upstream.h_n', h],
      ...(c === undefined ? [] : [['upstream.c_n', c] as const]),
    ]),
  };
}

function parametersOf(config: RecurrentConfig): { parameters: Parameters; recurrent: Recurrent } {
  const parameters = new Parameters();
  return { parameters, recurrent: new Recurrent(parameters.scope, config) };
}

/** Shapes of stacked hidden states and cells; only an LSTM has cells. */
function stacked(
  { kind, layers = 1, hiddenSize }: RecurrentConfig,
  { directions, outputSize }: Recurrent,
  B: number,
): { readonly h: readonly number[]; readonly c: readonly number[] | undefined } {
  const count = layers * directions;
  return { h: [count, B, outputSize / directions], c: kind === 'lstm' ? [count, B, hiddenSize] : undefined };
}

/**
 * Outputs and gradients of a stack of recurrent layers: `output.*`, `grad.*`, and with `inspect` `inspect.*` and `inspect.grad.*`.
 * @param tensors as {@link recurrentShapes} says; a missing upstream gradient is zero
 */
export async function recurrentGradients(
  config: RecurrentConfig,
  tensors: NamedArrays,
  { backend, inspect }: { readonly backend: Backend; readonly inspect: boolean },
): Promise<Map<string, NamedArray>> {
  const { parameters, recurrent } = parametersOf(config);
  const [B = 0, T = 0] = tensors.get('input.x')?.shape ?? [];
  const { h: hShape, c: cShape = [] } = stacked(config, recurrent, B);
  const engine = new Engine(backend);
  await engine.place(parameters.arena);
  const inputs: Record<string, NamedArray['values']> = {};
  const graph = new Graph();

  /** An input of the graph for a tensor of the file, if it is there. */
  const input = (
    name: string,
    shape: readonly number[],
    values: (array: NamedArray) => NamedArray['values'],
  ): Tensor | undefined => {
    const array = tensors.get(name);
    if (array === undefined) return undefined;
    inputs[name] = values(array);
    return graph.input(name, shape, name === 'input.lengths' ? 'i32' : 'f32');
  };
  /** One input for each layer and direction of a stacked state. */
  const states = (name: string): Tensor[] => {
    const array = tensors.get(name);
    if (array === undefined) return [];
    const [count = 0, ...shape] = array.shape;
    const size = sizeOf(shape);
    return Array.from({ length: count }, (_, index) => {
      const key = `${name}.${index}`;
      inputs[key] = array.values.slice(index * size, (index + 1) * size);
      return graph.input(key, shape);
    });
  };

  const x = input('input.x', [T, B, config.inputSize], swapFirstAxes) as Tensor;
  const h0 = states('input.h0');
  const c0 = states('input.c0');
  const lengths = input('input.lengths', [B], ({ values }) => values);
  const { output, last } = recurrent.forward(x, { state: { h: h0, c: c0 }, lengths }, {});

  const from = new Map<Tensor, Tensor>();
  const dOutput = input('upstream.output', [T, B, recurrent.outputSize], swapFirstAxes);
  if (dOutput !== undefined) from.set(output, dOutput);
  for (const [name, values] of [
    ['upstream.h_n', last.h],
    ['upstream.c_n', last.c],
  ] as const) {
    for (const [index, upstream] of states(name).entries()) from.set(values[index] as Tensor, upstream);
  }

  const { variables } = parameters.arena;
  const read = new Map(variables.map((variable) => [variable.name, graph.read(variable)]));
  const probes = inspect ? [...graph.probes] : [];
  const to = [...read.values(), x, ...h0, ...c0, ...probes.map(([, { of }]) => of)];
  const gradients = differentiate(graph, { from, to });

  const results = new Map<
    string,
    { readonly shape: readonly number[]; readonly timeMajor: boolean; readonly parts: readonly string[] }
  >();
  /** A result that the graph's outputs `parts` hold one after another; a part without a tensor is zero. */
  const result = (
    name: string,
    shape: readonly number[],
    timeMajor: boolean,
    parts: readonly (Tensor | undefined)[],
  ): void => {
    const names = parts.map((part, index) => {
      if (part !== undefined) graph.output(`${name}.${index}`, part);
      return `${name}.${index}`;
    });
    results.set(name, { shape, timeMajor, parts: names });
  };
  result('output.output', [B, T, recurrent.outputSize], true, [output]);
  result('output.h_n', hShape, false, last.h);
  if (last.c.length > 0) result('output.c_n', cShape, false, last.c);
  for (const { name, shape } of variables)
    result(`grad.${name}`, shape, false, [gradients.get(read.get(name) as Tensor)]);
  result('grad.input.x', [B, T, config.inputSize], true, [gradients.get(x)]);
  for (const [name, tensorsOf, shape] of [
    ['h0', h0, hShape],
    ['c0', c0, cShape],
  ] as const) {
    if (tensorsOf.length > 0)
      result(
        `grad.input.${name}`,
        shape,
        false,
        tensorsOf.map((tensor) => gradients.get(tensor)),
      );
  }
  for (const [name, { of, select }] of probes) {
    const gradient = gradients.get(of);
    const value = select(of);
    const shape = [B, T, value.shape[2] as number];
    result(`inspect.${name}`, shape, true, [value]);
    result(`inspect.grad.${name}`, shape, true, [gradient && select(gradient)]);
  }

  const outputs = await engine.use(async (session) => {
    await Promise.all(
      variables.map((variable) => session.write(variable, (tensors.get(variable.name) as NamedArray).values)),
    );
    return session.run(plan(graph), inputs);
  });
  return new Map([...results].map(([name, its]) => [name, collect(its, outputs, engine.elementBytes)]));
}

function collect(
  { shape, timeMajor, parts }: { shape: readonly number[]; timeMajor: boolean; parts: readonly string[] },
  outputs: Readonly<Record<string, Result>>,
  elementBytes: number,
): NamedArray {
  const size = sizeOf(shape);
  const values = elementBytes === 8 ? new Float64Array(size) : new Float32Array(size);
  for (const [index, part] of parts.entries()) values.set(outputs[part] ?? [], (index * size) / parts.length);
  if (!timeMajor) return { shape, values };
  const [B = 1, T = 1, ...rest] = shape;
  return { shape, values: swapFirstAxes({ shape: [T, B, ...rest], values }) };
}
