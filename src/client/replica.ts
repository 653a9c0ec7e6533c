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

/** A write of this client that shows before the stream has come so far. */
interface Ahead {
  /** At or below it the stream will have told of the write, if it still counts. */
  readonly version: number;
  /** Names the write's history. */
  readonly cursor: string | undefined;
  /** What the stream says of the key so far. */
  readonly told: Known | undefined;
  readonly toldVersion: number;
}

/**
 * The client's copy of the items under its prefixes. Of each key it takes a version only if it is above the one it knows, so that nothing
 * is seen twice and nothing goes back, whichever way it came. Writes of this client show at once, and only until the stream has passed them:
 * it alone knows whether they still count. Every method applies all it is given, then returns what changed, in order.
 */
export class Replica {
  #items = new Map<string, Known>();
  /** Versions of deletions, in the order they were learnt. */
  #deletions = new Map<string, number>();
  /** Few, and seldom: a write waits for its echo. */
  #ahead = new Map<string, Ahead>();

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

  /** The newest of the writes that the stream has not passed; undefined if there is none. */
  newestAhead(): { readonly key: string; readonly cursor: string | undefined } | undefined {
    let newest: (Ahead & { readonly key: string }) | undefined;
    for (const [key, ahead] of this.#ahead) if (!newest || ahead.version > newest.version) newest = { ...ahead, key };
    return newest;
  }

  /** What the stream tells. */
  apply(changes: readonly WireChange[]): readonly SeenChange[] {
    return changes.flatMap((change) => this.#tell(change) ?? []);
  }

  /** The answer to a write or a read of this client, where the stream has not told as much yet. `revision`: how far the stream has told. */
  applyItem(item: ConfigItem, revision: number): readonly SeenChange[] {
    const { key, version, etag } = item;
    if (version <= revision) return [];
    const change = changeTo(item, this.#items.get(key));
    if (!this.#isNews(change)) return [];
    this.#goAhead(key, version, etag);
    return this.#take(change);
  }

  /** `key` did not exist at `asOf`, a revision of the history that `cursor` names. */
  applyAbsent(key: string, asOf: number, revision: number, cursor: string | undefined): readonly SeenChange[] {
    const change = changeToAbsent(key, this.#items.get(key), asOf);
    if (asOf <= revision || !this.#isNews(change)) return [];
    this.#goAhead(key, asOf, cursor);
    return this.#take(change);
  }

  /**
   * The stream has told everything up to `revision`: what it says counts, whatever writes up to `upTo` had shown. That is another thing only if
   * the store was put back to a state from before a write.
   */
  passed(revision: number, upTo = revision): readonly SeenChange[] {
    const seen: SeenChange[] = [];
    for (const [key, { version, told }] of this.#ahead) {
      if (version > upTo) continue;
      this.#ahead.delete(key);
      const shown = this.#items.get(key);
      if (told) {
        if (!shown || !sameContent(shown, told)) seen.push(changeTo({ key, ...told }, shown));
        this.#put(key, told);
      } else if (shown) {
        seen.push(changeToAbsent(key, shown, revision));
        this.#delete(key, revision);
      }
    }
    return seen;
  }

  /**
   * Takes `items` as the whole truth as of `revision` and returns exactly the difference in content. Writes of this client that are newer go on
   * to show, unless the snapshot is of a `foreign` history, with which no version can be compared.
   */
  replace(items: readonly StateItem[], revision: number, foreign: boolean): readonly SeenChange[] {
    const before = this.#items;
    const ahead = new Map<string, Ahead>();
    for (const [key, one] of this.#ahead)
      if (!foreign && one.version > revision) ahead.set(key, { ...one, told: undefined, toldVersion: revision });
    const after = new Map<string, Known>();
    const seen: SeenChange[] = [];
    for (const item of items) {
      const { key } = item;
      const known = before.get(key);
      const own = ahead.get(key);
      if (own) {
        ahead.set(key, { ...own, told: knownOf(item) });
        continue;
      }
      after.set(key, knownOf(item));
      if (!known || !sameContent(known, item)) seen.push(changeTo(item, known));
    }
    for (const [key, known] of before) {
      if (after.has(key)) continue;
      if (ahead.has(key)) after.set(key, known);
      else seen.push(changeToAbsent(key, known, revision));
    }
    this.#items = after;
    this.#ahead = ahead;
    this.#deletions = new Map([...this.#deletions].filter(([key]) => ahead.has(key)));
    return seen.sort((a, b) => a.version - b.version || compareBytes(a.key, b.key));
  }

  #tell(change: WireChange): SeenChange | undefined {
    const { key, version } = change;
    const ahead = this.#ahead.get(key);
    if (!ahead) return this.#isNews(change) ? this.#take(change)[0] : undefined;
    if (version < ahead.version) {
      // A deletion and a creation of one frame may share a version.
      if (version >= ahead.toldVersion) this.#ahead.set(key, { ...ahead, told: toldOf(change), toldVersion: version });
      return undefined;
    }
    this.#ahead.delete(key);
    const shown = this.#items.get(key);
    const told = toldOf(change);
    const isEcho = version === ahead.version && (told && shown ? sameContent(shown, told) : told === shown);
    return isEcho ? undefined : this.#take(change)[0];
  }

  #isNews(change: ConfigChangeEvent): boolean {
    // `deleted` then `created` of one key in one frame may share what was the frame's revision.
    const isRecreation = change.type !== 'deleted' && change.version === this.#deletions.get(change.key);
    return isRecreation || change.version > this.versionOf(change.key);
  }

  #take(change: WireChange): readonly SeenChange[] {
    const known = this.#items.get(change.key);
    const told = toldOf(change);
    if (told) {
      this.#put(change.key, told);
      return [{ ...change, type: known ? 'updated' : 'created', oldValue: known?.value ?? null }];
    }
    this.#delete(change.key, change.version);
    return known ? [{ ...change, oldValue: known.value }] : [];
  }

  #goAhead(key: string, version: number, cursor: string | undefined): void {
    const { told, toldVersion } = this.#ahead.get(key) ?? { told: this.#items.get(key), toldVersion: this.versionOf(key) };
    this.#ahead.set(key, { version, cursor, told, toldVersion });
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

const knownOf = ({ version, value, contentType, metadata }: StateItem): Known => ({ version, value, contentType, metadata });

/** What a change leaves of its key. */
const toldOf = ({ type, version, newValue, contentType, metadata }: ConfigChangeEvent): Known | undefined =>
  type === 'deleted' ? undefined : { version, value: newValue, contentType, metadata };

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

function sameContent(known: Known, item: Known): boolean {
  return known.contentType === item.contentType && sameJson(known.value, item.value) && sameJson(known.metadata, item.metadata);
}
