import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { eventually } from './eventually.ts';

setFlagsFromString('--expose-gc');

/** Collects at once what nobody holds any more. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** Resolves when nobody holds any of `past` any more; after `withinMs` it fails. */
export async function untilCollected(past: readonly WeakRef<object>[], withinMs?: number): Promise<void> {
  await eventually(() => {
    collectGarbage();
    const held = past.filter((one) => one.deref()).length;
    if (held > 0) throw new Error(`${held} of ${past.length} are still held`);
  }, withinMs);
}
