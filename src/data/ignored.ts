/** The label of a position that does not count: what softmaxCrossEntropy ignores. */
export const IGNORED = -100;
