import { parseArgs } from 'node:util';
import { distance } from 'fastest-levenshtein';

export interface BenchArguments {
  readonly isHelp: boolean;
  /** Scenarios to run, in the order of the list; all of them unless some are named. */
  readonly only: readonly string[];
  readonly isQuick: boolean;
  /** Undefined: as many as the form of the run has. */
  readonly rounds: number | undefined;
  /** Folder for the report; undefined: by the form of the run. */
  readonly out: string | undefined;
  readonly profile: 'cpu' | 'heap' | undefined;
  readonly isPinned: boolean;
}

/** Wrong arguments; the message is for the person who typed them. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

const MAX_ROUNDS = 100;
const MAX_TYPOS = 3;

/** @throws {UsageError} */
export function parseArguments(words: readonly string[], names: readonly string[]): BenchArguments {
  const { values } = parse(words);
  const asked = (values.only ?? []).flatMap((list) => list.split(',')).map((name) => name.trim());
  for (const name of asked) {
    if (names.includes(name)) continue;
    const near = names.find((other) => distance(name, other) <= MAX_TYPOS);
    throw new UsageError(
      `unknown scenario '${name}'${near === undefined ? '' : `, did you mean '${near}'`}? There are: ${names.join(', ')}`,
    );
  }
  if (values.profile === true && values['heap-profile'] === true) {
    throw new UsageError('--profile and --heap-profile disturb each other; give one of them');
  }
  return {
    isHelp: values.help === true,
    only: asked.length === 0 ? names : names.filter((name) => asked.includes(name)),
    isQuick: values.quick === true,
    rounds: parseRounds(values.rounds),
    out: values.out,
    profile: values.profile === true ? 'cpu' : values['heap-profile'] === true ? 'heap' : undefined,
    isPinned: values['no-pin'] !== true,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        help: { type: 'boolean', short: 'h' },
        only: { type: 'string', multiple: true },
        quick: { type: 'boolean' },
        rounds: { type: 'string' },
        out: { type: 'string' },
        profile: { type: 'boolean' },
        'heap-profile': { type: 'boolean' },
        'no-pin': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function parseRounds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const rounds = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (rounds >= 1 && rounds <= MAX_ROUNDS) return rounds;
  throw new UsageError(`--rounds '${text}' is not a whole number from 1 to ${MAX_ROUNDS}`);
}
