/** The options that describe a recurrent network. */
import { type Command, Option } from 'commander';
import type { RecurrentKind } from '../nn/recurrent.js';
import { numberOption } from './command.js';
import { share, whole } from './training.js';

export const RECURRENT_KINDS: readonly RecurrentKind[] = ['rnn', 'lstm', 'gru'];

export interface RecurrentFlags {
  model: RecurrentKind;
  hidden: number;
  layers: number;
  dropout: number;
  variationalDropout?: true;
  recurrentDropout?: number;
  zoneout?: number;
  learnedState?: true;
  nonlinearity?: 'tanh' | 'relu';
  resetBefore?: true;
  forgetBias?: number;
  projection?: number;
  layerNorm?: true;
  peepholes?: true;
}

/** What other networks have no use for. */
export const RECURRENT_ONLY = [
  ...['variationalDropout', 'recurrentDropout', 'zoneout', 'learnedState', 'nonlinearity', 'resetBefore'],
  ...['forgetBias', 'projection', 'layerNorm', 'peepholes'],
];

/** Adds them, and `--model` with other kinds beside those of recurrent networks. */
export function withRecurrent(
  command: Command,
  { hidden, others = [] }: { readonly hidden: number; readonly others?: readonly string[] },
): Command {
  return command
    .optionsGroup('Network:')
    .addOption(new Option('--model <kind>', 'kind of network').choices([...RECURRENT_KINDS, ...others]).default('lstm'))
    .option('--hidden <n>', 'hidden units, H', whole, hidden)
    .option('--layers <n>', 'layers', whole, 1)
    .option('--dropout <p>', 'dropout rate in training', share, 0)
    .option('--variational-dropout', 'the same dropout mask at every step')
    .option('--recurrent-dropout <p>', 'dropout rate of the recurrent weights', share)
    .option('--zoneout <p>', 'rate at which units keep their hidden state for a step in training', share)
    .option('--learned-state', 'initial states are learnt; without it they are zero')
    .addOption(new Option('--nonlinearity <kind>', 'rnn: default tanh').choices(['tanh', 'relu']))
    .option('--reset-before', 'gru: the reset gate acts before the recurrent product, as with Keras’ reset_after=False')
    .option('--forget-bias <b>', 'lstm: added to the initial bias of the forget gate', numberOption())
    .option('--projection <n>', 'lstm: the hidden state is projected to so many elements', whole)
    .option('--layer-norm', 'lstm: normalise what gates are summed from')
    .option('--peepholes', 'lstm: gates see the cell');
}

/** The recurrent network that the options describe. */
export const networkOf = (flags: RecurrentFlags & { seed: number }) => ({
  kind: flags.model,
  hiddenSize: flags.hidden,
  layers: flags.layers,
  dropout: flags.dropout,
  variationalDropout: flags.variationalDropout,
  recurrentDropout: flags.recurrentDropout,
  zoneout: flags.zoneout,
  learnedInitialState: flags.learnedState,
  nonlinearity: flags.nonlinearity,
  resetBefore: flags.resetBefore,
  forgetBias: flags.forgetBias,
  projectionSize: flags.projection,
  layerNorm: flags.layerNorm,
  peepholes: flags.peepholes,
  seed: flags.seed,
});
