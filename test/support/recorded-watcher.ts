import { request, type ClientRequest } from 'node:http';
import type { SeenChange, SeenItem, WatcherEvent, WatcherRecord } from './judge-watcher.ts';
import { formatContent } from './recorded-store.ts';
import { readCursor, type WatchFilter } from './true-history.ts';

/** An item or change as the wire tells it. */
export interface WireItem {
  readonly key: string;
  readonly value: unknown;
  readonly version: number;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface WireChange extends Omit<WireItem, 'value'> {
  readonly type: SeenChange['type'];
  readonly oldValue?: unknown;
  readonly newValue: unknown;
}

export const seenItem = ({ key, version, value, contentType, metadata }: WireItem): SeenItem => ({
  key,
  version,
  content: formatContent(value, contentType, metadata),
});

export const seenChange = ({ type, key, version, newValue, contentType, metadata }: WireChange): SeenChange => ({
  type,
  key,
  version,
  content: type === 'deleted' ? undefined : formatContent(newValue, contentType, metadata),
});

export interface WatcherOptions {
  readonly name: string;
  readonly filter: WatchFilter;
  readonly wantsSnapshot?: boolean;
}

export interface ConnectOptions {
  /** Default: the last id received. Null: none, a fresh stream. */
  readonly since?: string | null;
  /** See {@link WatcherEvent}. */
  readonly isHeld?: boolean;
  /** The position goes in the URL, not in the header browsers send. */
  readonly isInUrl?: boolean;
}

/** A client of event streams that writes down everything it does and is told. Its reconnects are its user's business. */
export class RecordedWatcher {
  readonly name: string;
  readonly filter: WatchFilter;
  readonly events: WatcherEvent[] = [];
  /** Every change as it was told, for what the record leaves out. */
  readonly told: { readonly change: WireChange; readonly gap: boolean }[] = [];
  readonly #wantsSnapshot: boolean;
  readonly #waiting = new Set<() => void>();
  #request: ClientRequest | undefined;
  #lastId: string | undefined;

  constructor({ name, filter, wantsSnapshot = false }: WatcherOptions) {
    this.name = name;
    this.filter = filter;
    this.#wantsSnapshot = wantsSnapshot;
  }

  /** The position to resume from; undefined before the first one. */
  get lastId(): string | undefined {
    return this.#lastId;
  }

  get isConnected(): boolean {
    return this.#request !== undefined;
  }

  /** Opens a stream of the node at `url`; resolves when the answer has begun. */
  async connect(url: string, options: ConnectOptions = {}): Promise<void> {
    this.cut();
    const since = options.since === undefined ? this.#lastId : (options.since ?? undefined);
    const query = new URLSearchParams();
    for (const prefix of this.filter.prefixes) query.append('prefix', prefix);
    for (const key of this.filter.keys) query.append('key', key);
    if (this.#wantsSnapshot) query.set('snapshot', '');
    if (since !== undefined && options.isInUrl) query.set('since', since);
    const headers = since !== undefined && !options.isInUrl ? { 'Last-Event-ID': since } : {};
    const outgoing = request(`${url}/api/v1/watch?${query.toString()}`, { agent: false, headers });
    this.#request = outgoing;
    this.#note({
      type: 'connect',
      snapshot: this.#wantsSnapshot,
      ...(since !== undefined && { since }),
      ...(options.isHeld && { isHeld: true }),
    });
    if (since === undefined) this.#lastId = undefined;
    await new Promise<void>((resolve, reject) => {
      outgoing.on('error', (error) => {
        this.#onEnd(outgoing);
        reject(error);
      });
      outgoing.on('response', (response) => {
        if (response.statusCode !== 200) reject(new Error(`a stream was answered with ${response.statusCode}`));
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
            if (this.#request === outgoing) this.#take(text.slice(0, end));
            text = text.slice(end + 2);
          }
        });
        response.on('error', () => undefined);
        response.on('close', () => this.#onEnd(outgoing));
        resolve();
      });
      outgoing.end();
    });
  }

  /** Breaks the connection at once, wherever the stream is. */
  cut(): void {
    const outgoing = this.#request;
    if (!outgoing) return;
    this.#onEnd(outgoing);
    outgoing.destroy();
  }

  /** Resolves when `isThere` holds, looked at after every event. @throws {Error} not within `waitMs`, with what came last. */
  async until(what: string, isThere: () => boolean, waitMs = 5_000): Promise<void> {
    if (isThere()) return;
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (!isThere()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`${this.name} waited ${waitMs} ms in vain for ${what}; last: ${JSON.stringify(this.events.slice(-5))}`));
      }, waitMs);
      this.#waiting.add(look);
    });
  }

  /** Resolves once an event of `type` has come since the last connect. */
  async untilEvent(type: WatcherEvent['type'], waitMs?: number): Promise<void> {
    const start = this.events.findLastIndex((event) => event.type === 'connect');
    await this.until(type, () => this.events.slice(start).some((event) => event.type === type), waitMs);
  }

  /** Resolves once everything up to `revision` has been told, as far as frames show it. */
  async untilRevision(revision: number, waitMs?: number): Promise<void> {
    await this.until(`revision ${revision}`, () => this.#lastId !== undefined && readCursor(this.#lastId).revision >= revision, waitMs);
  }

  /** Resolves once `key` has been told, as a change or in a snapshot, with a content that holds `text`. */
  async untilContent(key: string, text: string, waitMs?: number): Promise<void> {
    let looked = 0;
    await this.until(
      `${key} = ${text}`,
      () => {
        for (; looked < this.events.length; looked++) {
          const event = this.events[looked];
          const told: readonly { readonly key: string; readonly content: string | undefined }[] =
            event?.type === 'change' ? event.changes : event?.type === 'snapshot' ? event.items : [];
          if (told.some((one) => one.key === key && one.content?.includes(text))) return true;
        }
        return false;
      },
      waitMs,
    );
  }

  record(isSettled: boolean): WatcherRecord {
    return { name: this.name, filter: this.filter, events: this.events, isSettled };
  }

  #onEnd(outgoing: ClientRequest): void {
    if (this.#request !== outgoing) return;
    this.#request = undefined;
    this.#note({ type: 'cut' });
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const type = fields.get('event');
    if (type === undefined) return;
    const id = fields.get('id');
    const data = JSON.parse(fields.get('data') ?? 'null') as never;
    const event = this.#eventOf(type, id, data);
    if (id !== undefined) this.#lastId = id;
    this.#note(event);
  }

  #eventOf(type: string, id: string | undefined, data: WireData): WatcherEvent {
    const revision = data.revision ?? -1;
    const hasId = type === 'synced' || type === 'change' || type === 'bookmark';
    if (hasId !== (id !== undefined)) throw new Error(`${type} came ${id === undefined ? 'without' : 'with'} an id`);
    if (id !== undefined && readCursor(id).revision !== revision) throw new Error(`${type} of revision ${revision} came with the id ${id}`);
    switch (type) {
      case 'snapshot':
        return { type, revision, items: (data.items ?? []).map(seenItem) };
      case 'synced':
        return { type, id: id ?? '', count: data.count ?? -1 };
      case 'bookmark':
        return { type, id: id ?? '' };
      case 'change':
        for (const change of data.changes ?? []) this.told.push({ change, gap: data.gap === true });
        return { type, id: id ?? '', revision, changes: (data.changes ?? []).map(seenChange), ...(data.gap && { gap: true }) };
      case 'reset':
        // What was known until now is of no use, a position neither.
        this.#lastId = undefined;
        return { type, reason: data.reason ?? '' };
      case 'status':
        return { type, state: data.state ?? '' };
      case 'goaway':
        return { type };
      default:
        throw new Error(`unknown event ${type}`);
    }
  }

  #note(event: WatcherEvent): void {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }
}

interface WireData {
  readonly revision?: number;
  readonly items?: readonly WireItem[];
  readonly count?: number;
  readonly changes?: readonly WireChange[];
  readonly gap?: boolean;
  readonly reason?: string;
  readonly state?: string;
}
