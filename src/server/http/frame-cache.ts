import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { formatCursor } from '../../core/cursor.ts';
import type { ConfigBatch, ConfigService } from '../config-service.ts';
import type { ConfigChange } from '../store/changes.ts';
import { encodeFrame } from './frames.ts';

const MAX_BYTES = 64 * 1024 * 1024;
/** More are named by their digest. */
const MAX_NAMED_PLACES = 16;

/** Frames by batch and selection of its changes: one that many streams send is encoded once and its bytes are shared. */
export class FrameCache {
  readonly #service: ConfigService;
  // Twice: as it is, and as a chunk of HTTP.
  readonly #frames = new LRUCache<string, Buffer>({ maxSize: MAX_BYTES, sizeCalculation: (frame) => 2 * frame.byteLength + 200 });

  /** Of the batch asked for last, with all of its changes. */
  #latest: { readonly batch: ConfigBatch; readonly frame: Buffer } | undefined;

  constructor(service: ConfigService) {
    this.#service = service;
  }

  /** The `change` frame of those changes of `batch` that a stream wants. */
  changeFrame(batch: ConfigBatch, changes: readonly ConfigChange[]): Buffer {
    if (changes.length < batch.derived.length) return this.#frameOf(batch, changes);
    // Thousands of streams ask for it in a row.
    if (this.#latest?.batch !== batch) this.#latest = { batch, frame: this.#frameOf(batch, changes) };
    return this.#latest.frame;
  }

  #frameOf(batch: ConfigBatch, changes: readonly ConfigChange[]): Buffer {
    const cursor = formatCursor(this.#service.cursorAt(batch.revision));
    const name = changes.length === batch.derived.length ? cursor : `${cursor} ${nameSelection(batch.derived, changes)}`;
    const known = this.#frames.get(name);
    if (known) return known;
    const events = changes.map((change) => this.#service.renderedChange(change)).join(',');
    const frame = encodeFrame('change', `{"revision":${batch.revision},"changes":[${events}]${batch.gap ? ',"gap":true' : ''}}`, cursor);
    this.#frames.set(name, frame);
    return frame;
  }
}

/** Names the places of `selected` in `all`, in whose order it is. A relist may hold a hundred thousand changes, and many streams want a part of it. */
function nameSelection(all: readonly ConfigChange[], selected: readonly ConfigChange[]): string {
  const places = new Uint32Array(selected.length);
  let place = 0;
  for (const [index, change] of selected.entries()) {
    while (place < all.length && all[place] !== change) place++;
    places[index] = place;
  }
  return places.length <= MAX_NAMED_PLACES ? places.join(' ') : createHash('sha256').update(places).digest('base64');
}
