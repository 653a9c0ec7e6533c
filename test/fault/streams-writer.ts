import { KEYS, keyAt, volatileKeyAt } from './streams-filters.ts';
import type { StreamsNodeProcess } from './streams-node-process.ts';
import { Requester } from './streams-requester.ts';

const WRITERS = 16;

/** A reproducible sequence of numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Writes over HTTP, as clients do, and past the server, several keys in one revision, as other tools do; sixteen at a time. Resolves with
 * their number, a few more than asked for, and the puts among them by revision, as `key value`.
 */
export async function writeMany(
  node: StreamsNodeProcess,
  count: number,
  seed: number,
): Promise<{ readonly written: number; readonly puts: ReadonlyMap<number, string> }> {
  const puts = new Map<number, string>();
  let written = 0;
  let lastNumber = 0;
  const work = async (random: () => number): Promise<void> => {
    const requester = new Requester(node.port);
    const pick = (): number => Math.floor(random() * KEYS.length);
    while (written < count) {
      const number = ++lastNumber;
      const dice = random();
      if (dice < 0.05) {
        written++;
        const keys = Array.from({ length: 2 + Math.floor(random() * 5) }, () => keyAt(pick()));
        await node.call('commit', Object.fromEntries(keys.map((key) => [key, `{"n":${number},"by":"another tool"}`])));
      } else if (dice < 0.15) {
        const { status, text } = await requester.send(`/api/v1/configs/${volatileKeyAt(pick())}`, { method: 'DELETE' });
        if (status === 204) written++;
        else if (status !== 404) throw new Error(`DELETE: ${status} ${text}`);
      } else {
        written++;
        const [key, body] = [keyAt(pick()), `{"n":${number}}`];
        const headers = { 'Content-Type': 'application/json' };
        const { status, text } = await requester.send(`/api/v1/configs/${key}?raw`, { method: 'PUT', headers, body });
        if (status !== 200 && status !== 201) throw new Error(`PUT ${key}: ${status} ${text}`);
        puts.set((JSON.parse(text) as { readonly version: number }).version, `${key} ${body}`);
      }
    }
    requester.close();
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, index) => work(randomFrom(seed * 1_000 + index))));
  return { written, puts };
}

/** Gives every key one value (null: deletes it), a hundred in one revision. Who was told of the last has been told of all before it. */
export async function writeEach(node: StreamsNodeProcess, value: string | null): Promise<void> {
  for (let from = 0; from < KEYS.length; from += 100) {
    await node.call('commit', Object.fromEntries(KEYS.slice(from, from + 100).map((key) => [key, value])));
  }
}
