/** Checks of options that users give: names must be known, values must fit, and messages say which, what and why. */

/** An option that is unknown or has a value that does not fit. */
export class OptionError extends Error {
  readonly code = 'ERR_SEQGRAD_OPTION';
  override readonly name = 'OptionError';
}

/** What a value must be, in words, and whether one is. */
export interface Rule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

export const wholeNumber = (from: number, to = Number.MAX_SAFE_INTEGER): Rule => ({
  expected: to === Number.MAX_SAFE_INTEGER ? `a whole number from ${from}` : `a whole number from ${from} to ${to}`,
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to,
});

export const above = (bound: number): Rule => ({
  expected: `a number above ${bound}`,
  accepts: (value) => isNumber(value) && value > bound,
});

export const atLeast = (bound: number): Rule => ({
  expected: `a finite number from ${bound}`,
  accepts: (value) => isNumber(value) && value >= bound && Number.isFinite(value),
});

export const finite: Rule = { expected: 'a finite number', accepts: (value) => Number.isFinite(value) };

export const yesOrNo: Rule = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' };

/** From 0 to below 1. */
export const fraction: Rule = {
  expected: 'a number from 0 to below 1',
  accepts: (value) => isNumber(value) && value >= 0 && value < 1,
};

export const oneOf = (...values: readonly string[]): Rule => ({
  expected: `one of ${values.join(', ')}`,
  accepts: (value) => values.includes(value as string),
});

export const anything: Rule = { expected: 'anything', accepts: () => true };

export const either = (...rules: readonly Rule[]): Rule => ({
  expected: rules.map(({ expected }) => expected).join(', or '),
  accepts: (value) => rules.some((rule) => rule.accepts(value)),
});

export const aFunction: Rule = { expected: 'a function', accepts: (value) => typeof value === 'function' };

const show = (value: unknown): string => (typeof value === 'string' ? `"${value}"` : String(value));

/**
 * Checks every given option against its rule; options that are undefined are left to their defaults.
 * @throws OptionError naming the option, what was expected and what came.
 */
export function checkOptions(owner: string, options: object, rules: Readonly<Record<string, Rule>>): void {
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined)
      throw new OptionError(`${owner}: unknown option \`${name}\`${suggestion(name, Object.keys(rules))}`);
    if (value !== undefined && !rule.accepts(value)) {
      throw new OptionError(`${owner}: Expected \`${name}\` to be ${rule.expected} but received ${show(value)}`);
    }
  }
}

/** `: did you mean X?` where a known name is close to the given one, else the list of names. */
export function suggestion(name: string, known: readonly string[]): string {
  const distances = known.map(
    (candidate) => [distance(name.toLowerCase(), candidate.toLowerCase()), candidate] as const,
  );
  const [best] = distances.sort(([a], [b]) => a - b);
  if (best !== undefined && best[0] <= Math.max(2, name.length / 3)) return `: did you mean \`${best[1]}\`?`;
  return `: expected one of ${known.join(', ')}`;
}

/** Edits that turn one word into the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (const [i, x] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, y] of [...b].entries()) {
      next.push(Math.min((next[j] as number) + 1, (row[j + 1] as number) + 1, (row[j] as number) + Number(x !== y)));
    }
    row = next;
  }
  return row[b.length] as number;
}
