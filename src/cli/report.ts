/** Progress of a training run: a bar with loss, speed and time left on a terminal, JSON lines elsewhere. */
import { styleText } from 'node:util';
import type { TrainingStep } from '../train/trainer.js';

/** Receives what happens during training. */
export interface Report {
  /** Something to know before the first step. */
  note(kind: string, values: Readonly<Record<string, unknown>>, text: string): void;
  step(step: TrainingStep, steps: number): void;
  evaluation(step: number, split: string, metrics: Readonly<Record<string, number>>): void;
  /** The last thing: all metrics. */
  done(result: Readonly<Record<string, unknown>>, text: string): void;
}

export const formatBytes = (bytes: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
};

const formatSeconds = (seconds: number): string =>
  seconds >= 60
    ? `${Math.floor(seconds / 60)}m${String(Math.round(seconds % 60)).padStart(2, '0')}s`
    : `${Math.round(seconds)}s`;

const metricNames: Readonly<Record<string, string>> = {
  macro_f1: 'macro F1',
  mae: 'MAE',
  rmse: 'RMSE',
  mase: 'MASE',
  naive_mae: 'naive MAE',
};

/** A number with three decimals, or four digits where it is small. */
const formatNumber = (value: number): string =>
  Number.isInteger(value)
    ? value.toLocaleString('en')
    : Math.abs(value) < 0.1
      ? value.toPrecision(3)
      : value.toFixed(3);

/** `loss 0.512, accuracy 0.833, macro F1 0.524` */
export const metricsText = (metrics: Readonly<Record<string, number>>): string =>
  Object.entries(metrics)
    .map(([name, value]) => `${metricNames[name] ?? name} ${formatNumber(value)}`)
    .join(', ');

/** Steps between two lines of JSON or two redraws of the bar are at least this far apart. */
const JSON_MILLISECONDS = 1000;
const REDRAW_MILLISECONDS = 100;
const BAR_WIDTH = 24;

/** A smoothed rate: tokens per second over the last moments. */
class Rate {
  #tokens = 0;
  #milliseconds = 0;

  add({ tokens, milliseconds }: TrainingStep): number {
    this.#tokens = this.#tokens * 0.9 + tokens;
    this.#milliseconds = this.#milliseconds * 0.9 + milliseconds;
    return (this.#tokens / this.#milliseconds) * 1000;
  }
}

export class JsonReport implements Report {
  readonly #rate = new Rate();
  #last = Number.NEGATIVE_INFINITY;

  note(kind: string, values: Readonly<Record<string, unknown>>): void {
    this.#write({ [kind]: values });
  }

  step(step: TrainingStep, steps: number): void {
    const tokensPerSecond = Math.round(this.#rate.add(step));
    const now = performance.now();
    if (step.step !== 1 && step.step !== steps && now - this.#last < JSON_MILLISECONDS) return;
    this.#last = now;
    const { loss, gradientNorm, learningRate, milliseconds } = step;
    this.#write({
      step: step.step,
      steps,
      loss,
      gradient_norm: gradientNorm,
      learning_rate: learningRate,
      milliseconds,
      tokens_per_s: tokensPerSecond,
    });
  }

  evaluation(step: number, split: string, metrics: Readonly<Record<string, number>>): void {
    this.#write({ step, [split]: metrics });
  }

  done(result: Readonly<Record<string, unknown>>): void {
    this.#write(result);
  }

  #write(line: object): void {
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

export class TerminalReport implements Report {
  readonly #rate = new Rate();
  #drawn = Number.NEGATIVE_INFINITY;
  #barShown = false;

  /** @param unit what a step's labels are: characters, examples */
  constructor(readonly unit = 'characters') {}

  note(_kind: string, _values: unknown, text: string): void {
    this.#line(text);
  }

  step(step: TrainingStep, steps: number): void {
    const tokensPerSecond = this.#rate.add(step);
    const now = performance.now();
    if (step.step !== steps && now - this.#drawn < REDRAW_MILLISECONDS) return;
    this.#drawn = now;
    const left = ((steps - step.step) * step.tokens) / tokensPerSecond;
    const rate = `${Math.round(tokensPerSecond).toLocaleString('en')} ${this.unit}/s`;
    this.#bar(
      step.step / steps,
      ` ${step.step}/${steps}  loss ${step.loss.toFixed(3)}  ${rate}  ${formatSeconds(left)} left`,
    );
  }

  evaluation(step: number, split: string, metrics: Readonly<Record<string, number>>): void {
    this.#line(`step ${step}: ${split} ${metricsText(metrics)}`);
  }

  done(_result: unknown, text: string): void {
    this.#line(text);
  }

  /** A line that wraps cannot be drawn over: the bar gets what the text leaves of the terminal's width. */
  #bar(done: number, text: string): void {
    const room = (process.stdout.columns || 80) - 1;
    const width = Math.max(0, Math.min(BAR_WIDTH, room - text.length));
    const filled = Math.round(done * width);
    const bar = styleText('cyan', '█'.repeat(filled)) + styleText('dim', '░'.repeat(width - filled));
    process.stdout.write(`\r\u001b[2K${bar}${text.slice(0, room)}`);
    this.#barShown = true;
  }

  #line(text: string): void {
    process.stdout.write(`${this.#barShown ? '\n' : ''}${text}\n`);
    this.#barShown = false;
  }
}

/** JSON lines where asked for or where nobody watches. */
export const createReport = (json: boolean | undefined, unit: string): Report =>
  json === true || !process.stdout.isTTY ? new JsonReport() : new TerminalReport(unit);
