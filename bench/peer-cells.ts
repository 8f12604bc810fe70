/** The shapes on which others are measured beside us: small and large models, short and long sequences, one row and many. */
import { type Cell, cellOf } from '../src/bench/models.js';

const recurrent =
  (model: 'lstm' | 'gru' | 'rnn') =>
  (hidden: number, layers: number, batch: number, time: number): Cell =>
    cellOf(model, { hidden, layers, batch, time });
const lstm = recurrent('lstm');

/** BERT-tiny, mini and small; BERT-base's width with two layers; BERT-tiny on long texts. */
const bert = [
  {},
  { hidden: 256, layers: 4 },
  { hidden: 512, layers: 4 },
  { hidden: 768, batch: 4 },
  { batch: 2, time: 512 },
  { batch: 2, time: 2048 },
].map((sizes) => cellOf('bert', sizes));

export const peerCells: readonly Cell[] = [
  lstm(64, 1, 8, 32),
  lstm(128, 1, 32, 64),
  lstm(256, 1, 32, 64),
  lstm(256, 2, 32, 64),
  lstm(512, 1, 16, 128),
  lstm(256, 1, 1, 128),
  recurrent('gru')(256, 1, 32, 64),
  recurrent('rnn')(256, 1, 32, 64),
  ...bert,
];
