/** The public names of seqgrad. */
export { Engine, type InstructionTime } from './backends/engine.js';
export { type Backend, type BackendName, ClosedError, type Numerics, OutOfMemoryError } from './backends/executor.js';
export { BackendError, type BackendOptions, loadBackend } from './backends/select.js';
export { type BpeOptions, BpeVocabulary } from './data/bpe.js';
export { type EncodedSequence, type EncoderBatch, encoderBatch, type MaskedBatch } from './data/encoder-batch.js';
export { DataError } from './data/errors.js';
export type { Source, Stream } from './data/files.js';
export { type LabelledSequence, readLabelledSequences } from './data/labelled-sequences.js';
export { type LabelledText, type LabelledTextOptions, readLabelledTexts } from './data/labelled-texts.js';
export { collectSeries, readSeries, type Series, type SeriesOptions } from './data/series.js';
export { type Fractions, type Parts, splitPoints, splitRandomly, splitStratified } from './data/split.js';
export { openTable, type Row, type Table, type TableOptions } from './data/table.js';
export { readText } from './data/text.js';
export type { Encoding, Tokenizer, WordEncoding } from './data/tokenizer.js';
export { type LearntVocabularyOptions, learnVocabulary } from './data/vocabularies.js';
export { CharacterVocabulary, type Units, type Vocabulary } from './data/vocabulary.js';
export { splitWords, WordVocabulary, type WordVocabularyOptions } from './data/words.js';
export { FileError, FormatError } from './formats/errors.js';
export { type DifferentiateOptions, differentiate } from './graph/differentiate.js';
export { ShapeError } from './graph/errors.js';
export { Graph } from './graph/graph.js';
export { plan } from './graph/plan.js';
export type { Tensor } from './graph/tensor.js';
export { inspect, stepNorms } from './inspect/inspect.js';
export type { ArrayShapes, NamedArray, NamedArrays } from './inspect/named-arrays.js';
export { recurrentGradients, recurrentShapes } from './inspect/recurrent.js';
export { type ClassificationMetrics, classificationMetrics, confusionMatrix } from './metrics/classification.js';
export { mae, mase, naivePosition, rmse } from './metrics/forecast.js';
export { perplexity, type UnigramBaseline, unigramBaseline } from './metrics/language.js';
export type { BertInput, BertLoadOptions, BertOptions, BertText } from './models/any-bert.js';
export type { CheckpointReport } from './models/bert-checkpoint.js';
export {
  BertForMaskedLM,
  type Candidate,
  type Filling,
  type FillOptions,
  type MaskedEvaluation,
} from './models/bert-masked-lm.js';
export { BertModel, type EmbedOptions, type TextPooling } from './models/bert-model.js';
export {
  type BertClassifierLoadOptions,
  type BertClassifierOptions,
  type BertExample,
  BertForSequenceClassification,
  type RegressionEvaluation,
} from './models/bert-sequence-classification.js';
export {
  BertForTokenClassification,
  type BertLabellerLoadOptions,
  type BertLabellerOptions,
  type EncodedLabels,
  type LabelledWords,
} from './models/bert-token-classification.js';
export {
  type Forecast,
  type ForecastEvaluation,
  Forecaster,
  type ForecasterOptions,
  type ForecastPassOptions,
} from './models/forecaster.js';
export { LanguageModel, type LanguageModelOptions } from './models/language-model.js';
export type { SamplingOptions } from './models/sampling.js';
export {
  type Classification,
  type ClassificationEvaluation,
  type LearntClassifierOptions,
  SequenceClassifier,
  type SequenceClassifierOptions,
} from './models/sequence-classifier.js';
export {
  type LearntLabellerOptions,
  SequenceLabeller,
  type SequenceLabellerOptions,
} from './models/sequence-labeller.js';
export type { GenerateOptions, TrainingWindowOptions, WindowOptions } from './models/text-model.js';
export {
  TransformerLanguageModel,
  type TransformerLanguageModelOptions,
} from './models/transformer-language-model.js';
export { type Activation, type BertConfig, type BertPreset, bertPresets } from './nn/bert-config.js';
export { Embedding, type EmbeddingConfig } from './nn/embedding.js';
export { Linear, type LinearConfig } from './nn/linear.js';
export type { Mode } from './nn/mode.js';
export { type Initializer, Parameters, Scope } from './nn/parameters.js';
export {
  pool,
  Recurrent,
  type RecurrentConfig,
  type RecurrentInputs,
  type RecurrentKind,
  type RecurrentResult,
  type RecurrentState,
} from './nn/recurrent.js';
export * as ops from './ops/index.js';
export { type EncoderGroupOptions, encoderGroups } from './optim/encoder-groups.js';
export type { ParameterGroup, ParameterGroups } from './optim/groups.js';
export type { AdamWOptions, OptimizerOptions, SgdOptions } from './optim/optimizer.js';
export { learningRates, type ScheduleKind, type ScheduleOptions } from './optim/schedule.js';
export type { Dtype } from './program/dtype.js';
export { OptionError } from './program/options.js';
export type { Program } from './program/program.js';
export { Arena, Variable } from './program/variable.js';
export { encodeDocuments } from './text/documents.js';
export { type GrowingBatchOptions, growingTrainingBatches } from './text/growing-batches.js';
export { type MaskedBatchOptions, maskedEvaluationBatches, maskedTrainingBatches } from './text/masked-batches.js';
export { Masking, type MaskingOptions } from './text/masking.js';
export { type LearntTokenizerOptions, WordPieceTokenizer } from './text/tokenizer.js';
export type { Evaluation } from './train/evaluate.js';
export { NonFiniteError } from './train/locate.js';
export { type MemoryPlan, planMemory } from './train/memory.js';
export { type BatchShape, Model, type Network } from './train/model.js';
export { type Batch, Trainer, type TrainingStep } from './train/trainer.js';
export type { TrainerOptions } from './train/trainer-options.js';
