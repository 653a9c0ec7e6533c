import { JSON_TYPE } from '../../core/content.ts';
import { formatCursor, tryParseCursor } from '../../core/cursor.ts';
import { AttuneError, ValueTooLargeError } from '../../core/errors.ts';
import type { ConfigChangeEvent, ConfigItem, JsonValue, ResetReason } from '../../core/item.ts';
import { canonicalJson } from '../../core/json-text.ts';
import { parseRevision } from '../../core/revision.ts';
import { sameJson } from '../json-value.ts';
import type { PutEnvelope } from './put-envelope.ts';
import { unmetCondition, type WriteCondition } from './write-condition.ts';

const MAX_VALUE_BYTES = 512 * 1024;
/** Changes kept for streams that resume; before them a reader is given the state anew. */
const KEPT_CHANGES = 10_000;

interface Stored {
  readonly item: ConfigItem;
  readonly text: string;
}

export interface StoredWrite {
  readonly item: ConfigItem;
  readonly created: boolean;
  /** Undefined if the item already was what was written. */
  readonly change: ConfigChangeEvent | undefined;
}

/** The items of a service and their last changes, with the server's rules for what a write does. */
export class MemoryStore {
  readonly #items = new Map<string, Stored>();
  readonly #changes: ConfigChangeEvent[] = [];
  readonly #history: number;
  // As in a service that has just started: its first commit is its own.
  #revision = 1;

  constructor(history = 1) {
    this.#history = history;
  }

  get revision(): number {
    return this.#revision;
  }

  get cursor(): string {
    return this.cursorAt(this.#revision);
  }

  cursorAt(revision: number): string {
    return formatCursor({ epoch: `test${this.#history}`, revision: parseRevision(revision) });
  }

  get(key: string): ConfigItem | undefined {
    return this.#items.get(key)?.item;
  }

  items(): readonly ConfigItem[] {
    return [...this.#items.values()].map(({ item }) => item);
  }

  /** @throws {AttuneError} CONFLICT, INVALID_BODY, VALUE_TOO_LARGE: nothing was changed. */
  put(key: string, envelope: PutEnvelope, condition: WriteCondition = {}): StoredWrite {
    const before = this.#items.get(key);
    this.#require(key, condition);
    const text = envelope.valueText ?? before?.text;
    if (text === undefined) throw new AttuneError('INVALID_BODY', 'invalid body at /value: is required: there is no such key yet');
    const metadata = envelope.metadata ?? before?.item.metadata ?? {};
    if (before && canonicalJson(before.text) === canonicalJson(text) && sameJson(before.item.metadata, metadata)) {
      return { item: before.item, created: false, change: undefined };
    }
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MAX_VALUE_BYTES) throw new ValueTooLargeError(`the value has ${bytes} bytes, at most ${MAX_VALUE_BYTES} are allowed`);
    const version = ++this.#revision;
    const value = JSON.parse(text) as JsonValue;
    const lastUpdated = new Date().toISOString();
    const item: ConfigItem = {
      ...{ key, value, version, etag: this.cursorAt(version), lastUpdated, metadata, contentType: JSON_TYPE },
      createdVersion: before?.item.createdVersion ?? version,
    };
    this.#items.set(key, { item, text });
    const change = this.#record({
      ...{ type: before ? 'updated' : 'created', key, oldValue: before?.item.value ?? null, newValue: value, version },
      ...{ timestamp: lastUpdated, metadata, contentType: JSON_TYPE },
    });
    return { item, created: !before, change };
  }

  /** @throws {AttuneError} CONFLICT, NOT_FOUND: nothing was changed. */
  delete(key: string, condition: WriteCondition = {}): ConfigChangeEvent {
    const before = this.get(key);
    this.#require(key, condition);
    if (!before) throw new AttuneError('NOT_FOUND', `there is no key ${key}`, { details: { key } });
    this.#items.delete(key);
    return this.#record({
      ...{ type: 'deleted', key, oldValue: before.value, newValue: null, version: ++this.#revision },
      ...{ timestamp: new Date().toISOString(), metadata: before.metadata, contentType: before.contentType },
    });
  }

  /** An empty one with a history of its own, as after a restore: no cursor of this one is good there. */
  successor(): MemoryStore {
    return new MemoryStore(this.#history + 1);
  }

  /** The changes after `cursor`, or why it cannot be resumed from. */
  changesAfter(cursor: string): readonly ConfigChangeEvent[] | ResetReason {
    const position = tryParseCursor(cursor);
    if (position?.epoch !== `test${this.#history}`) return 'epoch';
    if (position.revision > this.#revision) return 'ahead';
    const oldest = this.#changes[0]?.version ?? this.#revision + 1;
    if (position.revision < oldest - 1) return 'compacted';
    return this.#changes.filter(({ version }) => version > position.revision);
  }

  #require(key: string, condition: WriteCondition): void {
    const unmet = unmetCondition(key, condition, this.get(key));
    if (unmet) throw unmet;
  }

  #record(change: ConfigChangeEvent): ConfigChangeEvent {
    this.#changes.push(change);
    if (this.#changes.length > KEPT_CHANGES) this.#changes.shift();
    return change;
  }
}
