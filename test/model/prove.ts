import fc from 'fast-check';
import { IS_LONG } from '../support/seed.ts';

/** For one property, with what it takes to find the shortest list that fails. */
export const TIME_LIMIT_MS = IS_LONG ? 7_200_000 : 300_000;

/** A property: whatever is done to a run of whatever shape, `play` finds nothing broken. */
export interface Proof<Shape, Step extends { readonly text: string }> {
  readonly name: string;
  readonly shapes: fc.Arbitrary<Shape>;
  readonly steps: fc.Arbitrary<Step>;
  readonly lengths: { readonly minLength: number; readonly maxLength: number };
  /** Twenty times as many in the long form. */
  readonly runs: number;
  readonly play: (shape: Shape, steps: readonly Step[]) => Promise<void>;
}

/**
 * Plays random lists of steps. The seed is printed, and repeated by setting ATTUNE_SEED; with the ATTUNE_PATH that a failure names, only
 * the list that failed is played.
 * @throws {Error} naming the shortest list found that breaks something, and what it breaks.
 */
export async function prove<Shape, Step extends { readonly text: string }>(proof: Proof<Shape, Step>): Promise<void> {
  const { name, shapes, steps, lengths, runs, play } = proof;
  const { ATTUNE_SEED, ATTUNE_PATH: failing } = process.env;
  const seed = Number(ATTUNE_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`${name}: ATTUNE_SEED=${seed}`);
  const deadline = performance.now() + TIME_LIMIT_MS * 0.8;
  let isBroken = false;
  const property = fc.asyncProperty(shapes, fc.array(steps, { ...lengths, size: 'max' }), async (shape, list) => {
    // A failure that is still being shortened is better told as it is than cut off.
    if (isBroken && performance.now() > deadline) return;
    try {
      await play(shape, list);
    } catch (error) {
      isBroken = true;
      throw error;
    }
  });
  const details = await fc.check(property, {
    numRuns: IS_LONG ? runs * 20 : runs,
    seed,
    ...(failing !== undefined && { path: failing, endOnFailure: true }),
  });
  if (!details.failed) return;
  const [shape, counterexample = []] = details.counterexample ?? [];
  const list = counterexample.map(({ text }) => `  ${text}`).join('\n');
  const error = details.errorInstance instanceof Error ? details.errorInstance : new Error(String(details.errorInstance));
  throw new Error(
    `run ${details.numRuns}, ATTUNE_SEED=${details.seed} ATTUNE_PATH=${details.counterexamplePath} broke on ${JSON.stringify(shape)}:\n${list}\n${error.message}`,
    { cause: error },
  );
}
