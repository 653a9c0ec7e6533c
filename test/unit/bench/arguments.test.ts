import { describe, expect, it } from 'vitest';
import { parseArguments, UsageError } from '../../../bench/support/arguments.ts';

const NAMES = ['get-item', 'get-304', 'fan-out'];

describe('arguments of the bench', () => {
  it('runs everything in full unless told otherwise', () => {
    expect(parseArguments([], NAMES)).toEqual({
      isHelp: false,
      only: NAMES,
      isQuick: false,
      rounds: undefined,
      out: undefined,
      profile: undefined,
      isPinned: true,
    });
  });

  it('takes scenarios repeated and as a list, and runs each once, in the order of the list', () => {
    expect(parseArguments(['--only', 'fan-out', '--only', 'get-item, fan-out'], NAMES).only).toEqual(['get-item', 'fan-out']);
  });

  it('names what is near an unknown scenario, and all there are', () => {
    expect(() => parseArguments(['--only', 'get-item,fanout'], NAMES)).toThrow(
      new UsageError("unknown scenario 'fanout', did you mean 'fan-out'? There are: get-item, get-304, fan-out"),
    );
    expect(() => parseArguments(['--only', 'something'], NAMES)).toThrow(
      "unknown scenario 'something'? There are: get-item, get-304, fan-out",
    );
  });

  it.each(['0', '101', '2.5', 'many', ''])('refuses %j rounds', (rounds) => {
    expect(() => parseArguments(['--rounds', rounds], NAMES)).toThrow(`--rounds '${rounds}' is not a whole number from 1 to 100`);
  });

  it('takes the form, the rounds, the folder and the profile', () => {
    expect(parseArguments(['--quick', '--rounds', '7', '--out', 'here', '--profile', '--no-pin'], NAMES)).toMatchObject({
      isQuick: true,
      rounds: 7,
      out: 'here',
      profile: 'cpu',
      isPinned: false,
    });
    expect(parseArguments(['--heap-profile'], NAMES).profile).toBe('heap');
  });

  it('refuses two profiles at once, and what it does not know', () => {
    expect(() => parseArguments(['--profile', '--heap-profile'], NAMES)).toThrow(UsageError);
    expect(() => parseArguments(['--fast'], NAMES)).toThrow(UsageError);
  });
});
