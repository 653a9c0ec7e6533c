import { callNode } from './node-call.ts';
import type { WatcherEvent, WatcherRecord } from './judge-watcher.ts';
import { seenChange, seenItem, type WireChange, type WireItem } from './recorded-watcher.ts';
import { EVERYTHING, type WatchFilter } from './true-history.ts';

interface ListAnswer {
  readonly revision: number;
  readonly cursor: string;
  readonly items: readonly WireItem[];
}

interface PollAnswer {
  readonly revision: number;
  readonly cursor: string;
  readonly changes: readonly WireChange[];
  readonly gap?: boolean;
}

/** A client that lists once and then polls on from cursor to cursor, and writes down what it is told as a watcher does. */
export class RecordedPoller {
  readonly name: string;
  readonly filter: WatchFilter = EVERYTHING;
  readonly events: WatcherEvent[] = [];
  #cursor: string | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** One poll, or the list that must come before it. Returns the HTTP status. */
  async poll(url: string, waitMs = 0): Promise<number> {
    if (this.#cursor === undefined) return this.#list(url);
    this.events.push({ type: 'connect', since: this.#cursor });
    const { status, body } = await callNode<PollAnswer & { readonly reason?: string }>(
      url,
      `/api/v1/configs?watch&since=${this.#cursor}&wait=${waitMs}ms`,
    );
    if (status === 410) {
      this.events.push({ type: 'reset', reason: body.reason ?? '' });
      this.#cursor = undefined;
      await this.#list(url);
    }
    if (status === 200) this.#take(body);
    return status;
  }

  record(isSettled: boolean): WatcherRecord {
    return { name: this.name, filter: this.filter, events: this.events, isSettled };
  }

  async #list(url: string): Promise<number> {
    const { status, body } = await callNode<ListAnswer>(url, '/api/v1/configs?limit=10000');
    if (status !== 200) return status;
    if (this.events.at(-1)?.type !== 'reset') this.events.push({ type: 'connect', snapshot: true });
    const items = body.items.map(seenItem);
    if (items.length > 0) this.events.push({ type: 'snapshot', revision: body.revision, items });
    this.events.push({ type: 'synced', id: body.cursor, count: items.length });
    this.#cursor = body.cursor;
    return status;
  }

  #take({ cursor, revision, changes, gap }: PollAnswer): void {
    // One answer may tell several revisions; with a gap it tells the outcome only.
    const parts = gap ? [changes] : byVersion(changes);
    for (const part of parts) {
      const last = gap ? revision : (part[0]?.version ?? revision);
      if (part.length > 0) this.events.push({ type: 'change', revision: last, changes: part.map(seenChange), ...(gap && { gap: true }) });
    }
    this.events.push({ type: 'bookmark', id: cursor });
    this.#cursor = cursor;
  }
}

function byVersion(changes: readonly WireChange[]): WireChange[][] {
  const parts: WireChange[][] = [];
  for (const change of changes) {
    const current = parts.at(-1);
    if (current?.[0]?.version === change.version) current.push(change);
    else parts.push([change]);
  }
  return parts;
}
