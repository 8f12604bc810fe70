/** What was given on the command line, as against what was left to defaults. */
import type { Command } from 'commander';
import { OptionError } from '../program/options.js';

const isGiven = (command: Command, name: string): boolean =>
  ![undefined, 'default'].includes(command.getOptionValueSource(name));

/** The flags without those that were left to their defaults. */
export const givenIn = <Flags extends object>(command: Command, flags: Flags): Partial<Flags> =>
  Object.fromEntries(Object.entries(flags).filter(([name]) => isGiven(command, name))) as Partial<Flags>;

/** @param only where these options mean something: `with --model bert` @throws OptionError naming the first one that is given */
export function refuseGiven(command: Command, names: readonly string[], only: string): void {
  const name = names.find((each) => isGiven(command, each));
  if (name === undefined) return;
  const option = command.options.find((each) => each.attributeName() === name);
  throw new OptionError(`Expected ${option?.long ?? name} only ${only}`);
}
