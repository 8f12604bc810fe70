import test from 'ava';
import {
  above,
  atLeast,
  checkOptions,
  either,
  fraction,
  OptionError,
  oneOf,
  type Rule,
  suggestion,
  wholeNumber,
} from '../../src/program/options.js';

const values = [0, 1, -1, 0.5, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null, true, [1], {}];

for (const [title, rule, accepted] of [
  ['wholeNumber(0)', wholeNumber(0), [0, 1]],
  ['wholeNumber(1, 3)', wholeNumber(1, 3), [1]],
  ['above(0)', above(0), [1, 0.5, 1.5, Number.POSITIVE_INFINITY]],
  ['atLeast(0)', atLeast(0), [0, 1, 0.5, 1.5]],
  ['fraction', fraction, [0, 0.5]],
  ['oneOf(a, 1)', oneOf('a', '1'), ['1']],
  ['either', either(fraction, oneOf('1')), [0, 0.5, '1']],
] as const satisfies readonly (readonly [string, Rule, readonly unknown[]])[]) {
  test(`${title} accepts what it says, and nothing else`, (t) => {
    t.deepEqual(
      values.filter((value) => rule.accepts(value)),
      [...accepted],
    );
  });
}

const rules = { hiddenSize: wholeNumber(1), layers: wholeNumber(1) };

test('an unknown option is refused by name, with the one that was meant', (t) => {
  t.throws(() => checkOptions('Thing', { hidenSize: 3 }, rules), {
    instanceOf: OptionError,
    message: 'Thing: unknown option `hidenSize`: did you mean `hiddenSize`?',
  });
  t.throws(() => checkOptions('Thing', { colour: 3 }, rules), { message: /expected one of hiddenSize, layers/ });
  t.throws(() => checkOptions('Thing', { layers: 0 }, rules), {
    message: /Thing: Expected `layers` to be a whole number from 1 but received 0/,
  });
  t.throws(() => checkOptions('Thing', { layers: '2' }, rules), { message: /received "2"/ });
  t.notThrows(() => checkOptions('Thing', { layers: undefined, hiddenSize: 2 }, rules));
});

test('names that every object has are unknown options like others', (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    t.throws(() => checkOptions('Thing', { [name]: 1 }, rules), {
      instanceOf: OptionError,
      message: new RegExp(`unknown option \`${name}\``),
    });
  }
});

test('suggestions ignore case and are not made up', (t) => {
  t.is(suggestion('HIDDENSIZE', ['hiddenSize', 'layers']), ': did you mean `hiddenSize`?');
  t.is(suggestion('x', ['hiddenSize', 'layers']), ': expected one of hiddenSize, layers');
});
