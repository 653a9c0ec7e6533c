import { distance } from 'fastest-levenshtein';

const MOST = 3;

/** The keys that `key` may be a slip of, nearest first; at most three, none that is another word altogether. */
export function nearestKeys(key: string, candidates: readonly string[]): readonly string[] {
  const limit = Math.max(2, Math.floor(key.length / 4));
  const lower = key.toLowerCase();
  return candidates
    .map((candidate) => ({ candidate, steps: stepsTo(lower, candidate.toLowerCase()) }))
    .filter(({ steps }) => steps <= limit)
    .sort((a, b) => a.steps - b.steps || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, MOST)
    .map(({ candidate }) => candidate);
}

/** A forgotten or doubled folder is a small slip, however long its name. */
function stepsTo(key: string, candidate: string): number {
  if (candidate.endsWith(`/${key}`) || key.endsWith(`/${candidate}`)) return 1;
  return distance(key, candidate);
}
