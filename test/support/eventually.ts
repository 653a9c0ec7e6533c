import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves as soon as `check` does not throw; after `withinMs` it fails as the last try did. */
export async function eventually(check: () => void | Promise<void>, withinMs = 10_000): Promise<void> {
  for (const deadline = performance.now() + withinMs; ; await sleep(20)) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
