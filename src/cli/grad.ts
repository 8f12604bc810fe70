/** `seqgrad grad`: gradients in and out as files, to check seqgrad against another framework. The format: docs/gradient-exchange.md. */
import type { Command } from 'commander';
import { FormatError } from '../formats/errors.js';
import { readJsonObject } from '../formats/json.js';
import { writeSafetensors } from '../formats/safetensors.js';
import { type BackendFlags, backendFrom, required, withBackend } from './command.js';
import { gradientsOfBert, isBert } from './grad/bert.js';
import type { GradientsOf } from './grad/question.js';
import { gradientsOfRecurrent, kinds } from './grad/recurrent.js';

interface Flags extends BackendFlags {
  config?: string;
  tensors?: string;
  out?: string;
  inspect?: boolean;
}

/** Who answers for a kind of model. @throws FormatError */
function kindOf(config: Readonly<Record<string, unknown>>, path: string): GradientsOf {
  const { model_type: type } = config;
  if (isBert(config)) return gradientsOfBert;
  if ((kinds as readonly unknown[]).includes(type)) return gradientsOfRecurrent;
  const known = '`model_type` to be "lstm", "gru" or "rnn", or "bert"';
  throw new FormatError(path, undefined, known, JSON.stringify(type) ?? 'none');
}

async function grad(flags: Flags): Promise<void> {
  const configFile = required(flags.config, '--config <file>');
  const tensorsFile = required(flags.tensors, '--tensors <file>');
  const out = required(flags.out, '--out <file>');
  const backend = await backendFrom(flags);
  const wide = backend.isa === 'float64';
  const config = await readJsonObject(configFile);
  const answer = kindOf(config, configFile);
  const results = await answer({ config, configFile, tensorsFile, wide, backend, inspect: flags.inspect === true });
  const dtype = wide ? 'F64' : 'F32';
  await writeSafetensors(
    out,
    [...results].map(([name, { shape, values }]) => ({ name, dtype, shape, values })),
  );
}

export function defineGrad(program: Command): void {
  const command = program
    .command('grad')
    .description('outputs and gradients of a model, from and to safetensors files')
    .option('--config <file>', 'required: model.json of recurrent layers, or config.json of a BERT')
    .option('--tensors <file>', 'required: safetensors with parameters, inputs and upstream gradients')
    .option('--out <file>', 'required: safetensors to write')
    .option(
      '--inspect',
      'also gates, cells and hidden states, or attention probabilities, and gradients with respect to each',
    )
    .action(grad);
  withBackend(command);
}
