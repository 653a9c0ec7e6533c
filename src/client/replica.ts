import { compareBytes } from '../core/byte-order.ts';
import type { ConfigChangeEvent, ConfigItem, JsonValue } from '../core/item.ts';
import type { KnownItem } from './durable.ts';
import { sameJson } from './json-value.ts';
import type { WireChange } from './wire.ts';

/** What the client knows of a key that exists. */
export type Known = Omit<KnownItem, 'key'>;

/** As a server tells it, or as it was kept. */
export type StateItem = KnownItem & Partial<Pick<ConfigItem, 'lastUpdated' | 'updatedBy'>>;

/** A change as this client saw it: `oldValue` and `type` are told by what it knew, not by what the server knew. */
export type SeenChange = WireChange & { readonly oldValue: JsonValue };

/** Deletions remembered at most; the oldest is forgotten first. Each protects only against an older version that arrives later. */
export const MAX_REMEMBERED_DELETIONS = 10_000;

/**
 * The client's copy of the items under its prefixes. Of each key it takes a version only if it is above the one it knows, so that nothing
 * is seen twice and nothing goes back, whichever way it came. Every method applies all it is given, then returns what changed, in order.
 */
export class Replica {
  #items = new Map<string, Known>();
  /** Versions of deletions, in the order they were learnt. */
  #deletions = new Map<string, number>();

  get(key: string): Known | undefined {
    return this.#items.get(key);
  }

  keys(): Iterable<string> {
    return this.#items.keys();
  }

  /** The whole state, in no order. */
  items(): KnownItem[] {
    return [...this.#items].map(([key, known]) => ({ key, ...known }));
  }

  /** Of the item, or of its deletion as far as it is remembered; 0 if nothing is known. */
  versionOf(key: string): number {
    return this.#items.get(key)?.version ?? this.#deletions.get(key) ?? 0;
  }

  apply(changes: readonly WireChange[]): readonly SeenChange[] {
    const seen: SeenChange[] = [];
    for (const change of changes) {
      // `deleted` then `created` of one key in one frame may share what was the frame's revision.
      if (change.version <= this.versionOf(change.key) && !this.#isRecreation(change)) continue;
      const known = this.#items.get(change.key);
      if (change.type === 'deleted') {
        this.#delete(change.key, change.version);
        if (known) seen.push({ ...change, oldValue: known.value });
      } else {
        this.#put(change.key, {
          version: change.version,
          value: change.newValue,
          contentType: change.contentType,
          metadata: change.metadata,
        });
        seen.push({ ...change, type: known ? 'updated' : 'created', oldValue: known?.value ?? null });
      }
    }
    return seen;
  }

  /** The answer to a write or a read of this client, where the stream has not told as much yet. `revision`: how far the stream has told. */
  applyItem(item: ConfigItem, revision: number): readonly SeenChange[] {
    return item.version > revision ? this.apply([changeTo(item, this.#items.get(item.key))]) : [];
  }

  /** `key` did not exist at `asOf`. */
  applyAbsent(key: string, asOf: number, revision: number): readonly SeenChange[] {
    return asOf > revision ? this.apply([changeToAbsent(key, this.#items.get(key), asOf)]) : [];
  }

  /**
   * Takes `items` as the whole truth as of `revision` and returns exactly the difference in content. Newer versions that a write of this
   * client has brought are kept, unless the snapshot is of a `foreign` history, with which no version can be compared.
   */
  replace(items: readonly StateItem[], revision: number, foreign: boolean): readonly SeenChange[] {
    const before = this.#items;
    const isNewer = (version: number | undefined): version is number => !foreign && version !== undefined && version > revision;
    const deletions = new Map([...this.#deletions].filter(([, version]) => isNewer(version)));
    const after = new Map<string, Known>();
    const seen: SeenChange[] = [];
    for (const item of items) {
      const known = before.get(item.key);
      if (isNewer(known?.version) || deletions.has(item.key)) continue;
      after.set(item.key, { version: item.version, value: item.value, contentType: item.contentType, metadata: item.metadata });
      if (!known || !sameContent(known, item)) seen.push(changeTo(item, known));
    }
    for (const [key, known] of before) {
      if (after.has(key)) continue;
      if (isNewer(known.version)) after.set(key, known);
      else seen.push(changeToAbsent(key, known, revision));
    }
    this.#items = after;
    this.#deletions = deletions;
    return seen.sort((a, b) => a.version - b.version || compareBytes(a.key, b.key));
  }

  #isRecreation(change: ConfigChangeEvent): boolean {
    return change.type !== 'deleted' && change.version === this.#deletions.get(change.key);
  }

  #put(key: string, known: Known): void {
    this.#items.set(key, known);
    this.#deletions.delete(key);
  }

  #delete(key: string, version: number): void {
    this.#items.delete(key);
    // Set anew so that the order is that of learning.
    this.#deletions.delete(key);
    this.#deletions.set(key, version);
    for (const oldest of this.#deletions.keys()) {
      if (this.#deletions.size <= MAX_REMEMBERED_DELETIONS) break;
      this.#deletions.delete(oldest);
    }
  }
}

function changeTo(item: StateItem, known: Known | undefined): SeenChange {
  const { key, version, contentType, metadata, lastUpdated = null, updatedBy } = item;
  const author = updatedBy === undefined ? {} : { updatedBy };
  const type = known ? 'updated' : 'created';
  return {
    type,
    key,
    oldValue: known?.value ?? null,
    newValue: item.value,
    version,
    timestamp: lastUpdated,
    metadata,
    contentType,
    ...author,
  };
}

function changeToAbsent(key: string, known: Known | undefined, version: number): SeenChange {
  return {
    type: 'deleted',
    key,
    oldValue: known?.value ?? null,
    newValue: null,
    version,
    timestamp: null,
    metadata: known?.metadata ?? {},
    contentType: known?.contentType ?? 'application/json',
  };
}

function sameContent(known: Known, item: StateItem): boolean {
  return known.contentType === item.contentType && sameJson(known.value, item.value) && sameJson(known.metadata, item.metadata);
}
