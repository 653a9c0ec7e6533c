import { LRUCache } from 'lru-cache';
import { formatCursor } from '../../core/cursor.ts';
import type { ConfigBatch, ConfigService } from '../config-service.ts';
import type { ConfigChange } from '../store/changes.ts';
import { encodeFrame } from './frames.ts';

const MAX_BYTES = 64 * 1024 * 1024;

/** Frames by batch and selection of its changes: one that many streams send is encoded once and its bytes are shared. */
export class FrameCache {
  readonly #service: ConfigService;
  readonly #frames = new LRUCache<string, Buffer>({ maxSize: MAX_BYTES, sizeCalculation: (frame) => frame.byteLength + 200 });

  constructor(service: ConfigService) {
    this.#service = service;
  }

  /** The `change` frame of those changes of `batch` that a stream wants. */
  changeFrame(batch: ConfigBatch, changes: readonly ConfigChange[]): Buffer {
    const cursor = formatCursor(this.#service.cursorAt(batch.revision));
    // A selection is told by its place in the batch; all of it, the usual case, needs no list.
    const name =
      changes.length === batch.derived.length ? cursor : `${cursor} ${changes.map((change) => batch.derived.indexOf(change)).join(' ')}`;
    const known = this.#frames.get(name);
    if (known) return known;
    const events = changes.map((change) => this.#service.renderedChange(change)).join(',');
    const frame = encodeFrame('change', `{"revision":${batch.revision},"changes":[${events}]${batch.gap ? ',"gap":true' : ''}}`, cursor);
    this.#frames.set(name, frame);
    return frame;
  }
}
