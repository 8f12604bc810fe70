/** The settings of a model: one list for its options, its config.json and the checks of both. */
import { FormatError } from '../formats/errors.js';
import { OptionError, type Rule, wholeNumber } from '../program/options.js';

export interface Field {
  /** What it is called in config.json. */
  readonly json: string;
  readonly rule: Rule;
  /** Whether it may be absent. */
  readonly optional: boolean;
}

export type Fields<Config> = { readonly [Name in keyof Config]-?: Field };

export const field = (json: string, rule: Rule): Field => ({ json, rule, optional: false });
export const optional = (json: string, rule: Rule): Field => ({ json, rule, optional: true });

/** The rules of options of the same names. */
export const rulesOf = <Config extends object>(fields: Fields<Config>): Record<keyof Config & string, Rule> =>
  Object.fromEntries(Object.entries<Field>(fields).map(([name, { rule }]) => [name, rule])) as Record<
    keyof Config & string,
    Rule
  >;

/** The settings as config.json has them, without those that are not set. */
export const toJson = <Config extends object>(fields: Fields<Config>, config: Config): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries<Field>(fields).flatMap(([name, { json }]) => {
      const value = config[name as keyof Config];
      return value === undefined ? [] : [[json, value]];
    }),
  );

/** The settings in a config.json. @throws FormatError naming the first one that is missing or does not fit */
export function fromJson<Config extends object>(
  fields: Fields<Config>,
  json: Readonly<Record<string, unknown>>,
  file: string,
): Config {
  const entries = Object.entries<Field>(fields).flatMap(([name, { json: key, rule, optional }]) => {
    const value = json[key];
    if (value === undefined && optional) return [];
    if (rule.accepts(value)) return [[name, value]];
    throw new FormatError(file, undefined, `\`${key}\` to be ${rule.expected}`, JSON.stringify(value) ?? 'none');
  });
  return Object.fromEntries(entries) as Config;
}

/** What is built from the settings in a file. @throws FormatError for settings that do not fit together, by their names in the file */
export function built<T>(file: string, fields: Readonly<Record<string, Field>>, build: () => T): T {
  try {
    return build();
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause;
    const message = cause.message.replace(/`(\w+)`/g, (quoted, name) => {
      const json = Object.hasOwn(fields, name) ? fields[name]?.json : undefined;
      return json === undefined ? quoted : `\`${json}\``;
    });
    throw new FormatError(file, undefined, 'settings that fit together', `some that do not (${message})`, { cause });
  }
}

/** The settings of `Config` among some options. */
export const settingsIn = <Config extends object>(fields: Fields<Config>, options: object): Partial<Config> =>
  Object.fromEntries(
    Object.entries(options).filter(([name, value]) => Object.hasOwn(fields, name) && value !== undefined),
  ) as Partial<Config>;

export const namesRule: Rule = {
  expected: 'a list of different names',
  accepts: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '') &&
    new Set(value).size === value.length,
};

/** Sizes of layers and the like. */
export const sizeRule = wholeNumber(1);

export const vocabularyRule: Rule = {
  expected: 'a vocabulary, such as a CharacterVocabulary,',
  accepts: (value) => typeof (value as { encode?: unknown } | undefined)?.encode === 'function',
};
