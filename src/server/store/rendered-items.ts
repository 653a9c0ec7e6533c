import { LRUCache } from 'lru-cache';
import type { ContentKind } from '../../core/content.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { Revision, StoredEntry } from '../../core/provider.ts';
import type { MirrorView } from '../cache/mirror.ts';
import { readItem } from './item-state.ts';
import type { Layout } from './layout.ts';
import { renderItem } from './render-item.ts';

/** One state of an item in the forms in which it is answered. Never changes: another state is another object. */
export interface RenderedItem {
  /** Entity tag without quotes. */
  readonly etag: string;
  /** The same in quotes, as headers have it. */
  readonly entityTag: string;
  /** `ConfigItem` as JSON text. */
  readonly json: Buffer;
  /** The same, ended by a line feed. */
  readonly jsonLine: Buffer;
  /** The bare value, as it is stored. */
  readonly raw: Buffer;
  readonly kind: ContentKind;
  readonly contentType: string;
}

interface Slot {
  readonly value: StoredEntry;
  readonly sidecar: StoredEntry | undefined;
  readonly item: RenderedItem;
  /** Of the last view in which these entries were found. */
  stamp: number;
}

const MAX_BYTES = 64 * 1024 * 1024;
/** Of a slot and its item beside the text. */
const SLOT_BYTES = 500;

/** Rendered items by what the mirror holds: an entry is used only for the very entries it was rendered from. Derived, never the truth. */
export class RenderedItems {
  readonly #layout: Layout;
  readonly #etagOf: (version: Revision) => string;
  readonly #oldestLink: () => string | undefined;
  #knownLink: string | undefined;
  // The raw form shares its bytes with the mirror.
  readonly #slots = new LRUCache<ConfigKey, Slot>({ maxSize: MAX_BYTES, sizeCalculation: ({ item }) => item.json.length + SLOT_BYTES });

  /** `oldestLink`: the first link of the chain that `etagOf` goes by. */
  constructor(layout: Layout, etagOf: (version: Revision) => string, oldestLink: () => string | undefined = () => undefined) {
    this.#layout = layout;
    this.#etagOf = etagOf;
    this.#oldestLink = oldestLink;
  }

  /** The item as `view` has it; undefined if it has none. */
  get(key: ConfigKey, view: MirrorView): RenderedItem | undefined {
    // Entity tags of old versions change when the link of the chain that covered them is forgotten.
    const oldest = this.#oldestLink();
    if (oldest !== this.#knownLink) this.#slots.clear();
    this.#knownLink = oldest;
    const slot = this.#slots.get(key);
    if (slot?.stamp === view.stamp) return slot.item;
    const value = view.get(this.#layout.valueKey(key));
    if (!value) return undefined;
    const sidecar = view.get(this.#layout.sidecarKey(key));
    if (slot?.value === value && slot.sidecar === sidecar) {
      slot.stamp = view.stamp;
      return slot.item;
    }
    const item = this.#render(key, value, sidecar);
    // A view of the past must not drive out the present.
    if (!slot || slot.stamp < view.stamp) this.#slots.set(key, { value, sidecar, item, stamp: view.stamp });
    return item;
  }

  clear(): void {
    this.#slots.clear();
  }

  #render(key: ConfigKey, value: StoredEntry, sidecar: StoredEntry | undefined): RenderedItem {
    const state = readItem(key, value, sidecar);
    const etag = this.#etagOf(value.revision);
    const jsonLine = Buffer.from(`${renderItem(state, etag)}\n`);
    return {
      etag,
      entityTag: `"${etag}"`,
      json: jsonLine.subarray(0, -1),
      jsonLine,
      raw: Buffer.from(value.value.buffer, value.value.byteOffset, value.value.byteLength),
      kind: state.kind,
      contentType: state.contentType,
    };
  }
}
