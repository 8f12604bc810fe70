/** The options that every model with a recurrent network has. */
import type { Backend } from '../backends/executor.js';
import { MAX_LAYERS, type RecurrentConfig } from '../nn/recurrent.js';
import { anything, finite, fraction, oneOf, wholeNumber, yesOrNo } from '../program/options.js';
import { type Fields, field, optional, settingsIn, sizeRule } from './fields.js';

/** The recurrent network as config.json describes it. `dropout` also acts on the network's inputs and before its head. */
export interface RecurrentSettings extends Omit<RecurrentConfig, 'inputSize'> {
  readonly layers: number;
  readonly dropout: number;
}

/** What can be said about the network (default: an LSTM of one layer and 128 hidden units), and how it is made. */
export interface RecurrentOptions extends Partial<Omit<RecurrentConfig, 'inputSize'>> {
  /** Of the initial parameters. Default 1. */
  readonly seed?: number;
  /** Default: `await loadBackend()`. */
  readonly backend?: Backend | undefined;
}

export const recurrentFields: Fields<RecurrentSettings> = {
  kind: field('kind', oneOf('rnn', 'lstm', 'gru')),
  hiddenSize: field('hidden_size', sizeRule),
  layers: field('num_layers', wholeNumber(1, MAX_LAYERS)),
  dropout: field('dropout', fraction),
  bidirectional: optional('bidirectional', yesOrNo),
  nonlinearity: optional('nonlinearity', oneOf('tanh', 'relu')),
  resetBefore: optional('reset_before', yesOrNo),
  projectionSize: optional('proj_size', wholeNumber(0)),
  peepholes: optional('peepholes', yesOrNo),
  layerNorm: optional('layer_norm', yesOrNo),
  variationalDropout: optional('variational_dropout', yesOrNo),
  recurrentDropout: optional('recurrent_dropout', fraction),
  zoneout: optional('zoneout', fraction),
  cellZoneout: optional('cell_zoneout', fraction),
  learnedInitialState: optional('learned_initial_state', yesOrNo),
  forgetBias: optional('forget_bias', finite),
};

/** Rules of the options that config.json does not hold. */
export const buildRules = { seed: wholeNumber(0), backend: anything };

export const recurrentSettings = (options: RecurrentOptions): RecurrentSettings => ({
  kind: 'lstm',
  hiddenSize: 128,
  layers: 1,
  dropout: 0,
  ...settingsIn(recurrentFields, options),
});

/** The recurrent network among the settings of a model. */
export const recurrentIn = (settings: RecurrentSettings): RecurrentSettings =>
  settingsIn(recurrentFields, settings) as RecurrentSettings;
