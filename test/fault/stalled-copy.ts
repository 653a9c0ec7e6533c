import { StreamReader, type ReadEvent } from './streams-reader.ts';

interface Item {
  readonly version: number;
  readonly text: string;
}

interface SnapshotItem {
  readonly key: string;
  readonly version: number;
  readonly value: string;
}

interface ChangeEvent {
  readonly key: string;
  readonly version: number;
  readonly newValue: string | null;
}

/** A client with a local copy of the text values under one prefix, kept by a stream that it can stop reading. */
export class StalledCopy {
  /** Names of the events in order, runs of the same name once. */
  readonly events: string[] = [];
  /** Data of the events that are neither change nor snapshot. */
  readonly told: { readonly event: string; readonly data: Readonly<Record<string, unknown>> }[] = [];
  /** Every revision that came as a change. */
  readonly revisions: number[] = [];
  isEnded = false;
  readonly #port: number;
  readonly #prefix: string;
  #items = new Map<string, Item>();
  #arriving: Map<string, Item> | undefined;
  #revision = 0;
  #reader: StreamReader;

  constructor(port: number, prefix: string) {
    this.#port = port;
    this.#prefix = prefix;
    this.#reader = this.#open(`?prefix=${prefix}&snapshot`, undefined);
  }

  /** Up to where the copy is current. */
  get revision(): number {
    return this.#revision;
  }

  get items(): Readonly<Record<string, Item>> {
    return Object.fromEntries([...this.#items].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  pause(): void {
    this.#reader.pause();
  }

  resume(): void {
    this.#reader.resume();
  }

  close(): void {
    this.#reader.close();
  }

  /** Comes back after an end, with the position it has. */
  reconnect(): void {
    this.isEnded = false;
    this.#reader = this.#open(`?prefix=${this.#prefix}&snapshot`, this.#reader.lastEventId);
  }

  #open(query: string, lastEventId: string | undefined): StreamReader {
    return new StreamReader(this.#port, {
      query,
      ...(lastEventId !== undefined && { lastEventId }),
      onEvent: (event) => this.#take(event),
      onEnd: () => (this.isEnded = true),
    });
  }

  #take({ event, data }: ReadEvent): void {
    if (this.events.at(-1) !== event) this.events.push(event);
    if (event === 'snapshot') this.#takeSnapshot(JSON.parse(data));
    else if (event === 'change') this.#takeChange(JSON.parse(data));
    else this.#takeOther(event, JSON.parse(data));
  }

  #takeSnapshot({ items }: { readonly items: readonly SnapshotItem[] }): void {
    this.#arriving ??= new Map();
    for (const { key, version, value } of items) this.#arriving.set(key, { version, text: value });
  }

  #takeChange({ revision, changes }: { readonly revision: number; readonly changes: readonly ChangeEvent[] }): void {
    this.#revision = revision;
    this.revisions.push(revision);
    for (const { key, version, newValue } of changes) {
      if (newValue === null) this.#items.delete(key);
      else this.#items.set(key, { version, text: newValue });
    }
  }

  #takeOther(event: string, data: Readonly<Record<string, unknown>>): void {
    this.told.push({ event, data });
    if (event === 'reset') this.#arriving = new Map();
    if (event !== 'synced') return;
    this.#revision = Number(data['revision']);
    if (this.#arriving) this.#items = this.#arriving;
    this.#arriving = undefined;
  }
}
