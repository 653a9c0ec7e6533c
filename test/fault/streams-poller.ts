import { keyAt, pollFilterAt, queryOf, steadyKeyAt, type Filter } from './streams-filters.ts';
import { Requester } from './streams-requester.ts';
import { describeEvent, type ChangeEvent } from './streams-truth.ts';

export const POLL_KINDS = ['event', 'conditional', 'many', 'many'] as const;
export type PollKind = (typeof POLL_KINDS)[number];

/** A client that polls, again and again, each time with what the answer before gave it, until it is closed. */
export class Poller {
  readonly kind: PollKind;
  readonly filter: Filter;
  /** What each answer told that told something; a conditional GET tells an item instead of an event. */
  readonly answers: (readonly string[])[] = [];
  failure: string | undefined;
  readonly #requester: Requester;
  #isClosed = false;

  constructor(port: number, index: number, cursor: string) {
    this.kind = POLL_KINDS[index % POLL_KINDS.length] ?? 'many';
    this.filter =
      this.kind === 'many' ? pollFilterAt(index) : { keys: [this.kind === 'event' ? keyAt(index) : steadyKeyAt(index)], prefixes: [] };
    this.#requester = new Requester(port);
    const loop = { event: () => this.#pollEvent(cursor), conditional: () => this.#pollItem(), many: () => this.#pollMany(cursor) }[
      this.kind
    ];
    loop().catch((error: unknown) => {
      if (!this.#isClosed) this.failure = String(error);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#requester.close();
  }

  /** `?watch&since=CURSOR` */
  async #pollMany(cursor: string): Promise<void> {
    for (let since = cursor; ;) {
      const { text } = await this.#get(`/api/v1/configs?${queryOf(this.filter)}&watch&since=${since}&wait=60s`);
      const answer = JSON.parse(text) as { readonly cursor: string; readonly changes: readonly ChangeEvent[] };
      if (answer.changes.length > 0) this.answers.push(answer.changes.map(describeEvent));
      since = answer.cursor;
    }
  }

  /** `?watch&version=V` */
  async #pollEvent(cursor: string): Promise<void> {
    // The position is higher than any version: what the key is now is told first.
    for (let version = Number(cursor.split('-')[1]); ;) {
      const { status, text } = await this.#get(`/api/v1/configs/${this.filter.keys[0]}?watch&version=${version}&wait=60s`);
      if (status === 304) continue;
      const event = JSON.parse(text) as ChangeEvent;
      this.answers.push([describeEvent(event)]);
      version = event.version;
    }
  }

  /** `If-None-Match` with `Prefer: wait` */
  async #pollItem(): Promise<void> {
    for (let etag = 'none-0'; ;) {
      const { status, text } = await this.#get(`/api/v1/configs/${this.filter.keys[0]}`, {
        'If-None-Match': `"${etag}"`,
        Prefer: 'wait=60',
      });
      if (status === 304) continue;
      const item = JSON.parse(text) as { readonly version: number; readonly etag: string; readonly value: unknown };
      this.answers.push([`${item.version} ${JSON.stringify(item.value)}`]);
      etag = item.etag;
    }
  }

  async #get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await this.#requester.send(path, { headers });
    if (answer.status !== 200 && answer.status !== 304) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return answer;
  }
}
