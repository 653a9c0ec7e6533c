import { isWanted, queryOf, type Filter } from './streams-filters.ts';
import type { TrueBatch } from './streams-node.ts';

/** An event as it goes over the wire, as far as it is judged. */
export interface ChangeEvent {
  readonly type: string;
  readonly key: string;
  readonly newValue: unknown;
  readonly version: number;
}

/** One change as one text: told texts are compared with true ones. */
export function describeEvent({ version, type, key, newValue }: ChangeEvent): string {
  return `${version} ${type} ${key} ${type === 'deleted' ? '' : JSON.stringify(newValue)}`;
}

/** The changes of one revision that somebody wants, in order; never empty. */
type ToldRevision = readonly string[];

/**
 * What must be told of each revision after `after`: every change that a filter wants, together with those of the same revision and of
 * no other. `history` begins with the empty store.
 */
export function truthOf(history: readonly TrueBatch[], after: number): (filter: Filter) => readonly ToldRevision[] {
  const present = new Set<string>();
  const batches = history.map(({ revision, changes }) => {
    const told = changes.map(({ key, value }) => {
      const type = value === undefined ? 'deleted' : present.has(key) ? 'updated' : 'created';
      if (value === undefined) present.delete(key);
      else present.add(key);
      return { key, text: `${revision} ${type} ${key} ${value ?? ''}` };
    });
    return { revision, told };
  });
  const later = batches.filter(({ revision }) => revision > after);
  const known = new Map<string, readonly ToldRevision[]>();
  return (filter) => {
    const name = queryOf(filter);
    const found =
      known.get(name) ??
      later.flatMap(({ told }) => {
        const wanted = told.filter(({ key }) => isWanted(filter, key)).map(({ text }) => text);
        return wanted.length > 0 ? [wanted] : [];
      });
    known.set(name, found);
    return found;
  };
}

/** Where `told` departs from `expected`; undefined if they are the same. */
export function firstDifference(told: readonly ToldRevision[], expected: readonly ToldRevision[]): string | undefined {
  for (let i = 0; i < Math.max(told.length, expected.length); i++) {
    const [was, should] = [told[i]?.join(', '), expected[i]?.join(', ')];
    if (was !== should) return `number ${i} of ${expected.length} is [${was ?? 'missing'}], true is [${should ?? 'none'}]`;
  }
  return undefined;
}
