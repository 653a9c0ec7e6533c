/** What a watcher wants: exact keys and prefixes, a union. */
export interface Filter {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

export function matches(filter: Filter, key: string): boolean {
  return filter.keys.includes(key) || filter.prefixes.some((prefix) => key.startsWith(prefix));
}

/**
 * Finds the subscribers of a change by its key: one look-up for exact keys and one for each distinct length of prefix, so that the cost
 * follows the matches, not the number of watchers. A key that does not exist yet is watched at no cost.
 */
export class FilterIndex<Subscriber> {
  readonly #byKey = new Map<string, Set<Subscriber>>();
  readonly #byPrefix = new Map<string, Set<Subscriber>>();
  /** Distinct prefix lengths, with the number of prefixes that have each. */
  readonly #lengths = new Map<number, number>();

  add(filter: Filter, subscriber: Subscriber): void {
    for (const key of filter.keys) insert(this.#byKey, key, subscriber);
    for (const prefix of filter.prefixes) {
      if (!this.#byPrefix.has(prefix)) this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
      insert(this.#byPrefix, prefix, subscriber);
    }
  }

  remove(filter: Filter, subscriber: Subscriber): void {
    for (const key of filter.keys) erase(this.#byKey, key, subscriber);
    for (const prefix of filter.prefixes) {
      if (!erase(this.#byPrefix, prefix, subscriber)) continue;
      const left = (this.#lengths.get(prefix.length) ?? 1) - 1;
      if (left === 0) this.#lengths.delete(prefix.length);
      else this.#lengths.set(prefix.length, left);
    }
  }

  /** Adds to `found` every subscriber one of whose filters matches `key`. */
  collect(key: string, found: Set<Subscriber>): void {
    for (const subscriber of this.#byKey.get(key) ?? []) found.add(subscriber);
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue;
      for (const subscriber of this.#byPrefix.get(key.slice(0, length)) ?? []) found.add(subscriber);
    }
  }
}

function insert<Subscriber>(index: Map<string, Set<Subscriber>>, name: string, subscriber: Subscriber): void {
  const set = index.get(name);
  if (set) set.add(subscriber);
  else index.set(name, new Set([subscriber]));
}

/** True if `name` has no subscriber any more. */
function erase<Subscriber>(index: Map<string, Set<Subscriber>>, name: string, subscriber: Subscriber): boolean {
  const set = index.get(name);
  if (!set?.delete(subscriber) || set.size > 0) return false;
  index.delete(name);
  return true;
}
