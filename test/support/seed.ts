import { Random } from '../../src/conformance/random.ts';

/** Chance for one test: printed, and repeated by setting ATTUNE_SEED. */
export function seededRandom(test: string): Random {
  const seed = Number(process.env['ATTUNE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`${test}: ATTUNE_SEED=${seed}`);
  return new Random(seed);
}

/** The long form of tests that have one. */
export const IS_LONG = process.env['ATTUNE_LONG'] === '1';
