import type { ConfigItem } from '../../core/item.ts';
import type { Revision } from '../../core/revision.ts';
import type { ServerFrame } from '../frames.ts';

/** What the frames of one client add up to, so that another one can begin there. */
export class Copy {
  #items = new Map<string, ConfigItem>();
  #arriving: ConfigItem[] | undefined;
  #position: { readonly cursor: string; readonly revision: Revision } | undefined;

  /** Where the copy stands; undefined until it is whole. */
  get position(): { readonly cursor: string; readonly revision: Revision } | undefined {
    return this.#arriving ? undefined : this.#position;
  }

  take(frame: ServerFrame): void {
    if ('cursor' in frame) this.#position = { cursor: frame.cursor, revision: frame.revision };
    if (frame.kind === 'snapshot') (this.#arriving ??= []).push(...frame.items);
    else if (frame.kind === 'reset') this.#arriving = [];
    else if (frame.kind === 'synced' && this.#arriving) {
      this.#items = new Map(this.#arriving.map((item) => [item.key, item]));
      this.#arriving = undefined;
    } else if (frame.kind === 'change') {
      for (const { key, type, newValue: value, version, timestamp: lastUpdated, contentType, metadata } of frame.changes) {
        const createdVersion = this.#items.get(key)?.createdVersion ?? version;
        const item = { key, value, version, lastUpdated, contentType, metadata, createdVersion, etag: '' };
        if (type === 'deleted') this.#items.delete(key);
        else this.#items.set(key, item);
      }
    }
  }

  /** The frames for one who begins, or who is at `cursor` and knows nothing of what came after it. */
  framesFor(cursor: string | undefined): readonly ServerFrame[] {
    const { position } = this;
    if (!position) return [];
    const { revision } = position;
    const items = [...this.#items.values()];
    const reason = epochOf(cursor) === epochOf(position.cursor) ? 'compacted' : 'epoch';
    return [
      ...(cursor === undefined ? [] : [{ kind: 'reset', reason } as const]),
      { kind: 'snapshot', revision, items },
      { kind: 'synced', ...position, count: items.length },
    ];
  }
}

const epochOf = (cursor: string | undefined): string | undefined => cursor?.split('-')[0];
