import { Session } from 'better-sse';
import { tryParseCursor, parseCursor, type Cursor } from '../../core/cursor.ts';
import type { ResetReason } from '../../core/item.ts';
import type { Filter } from '../cache/fan-out.ts';
import type { ConfigService, Located } from '../config-service.ts';
import { BoundedConnection, STREAM_HEADERS } from './bounded-connection.ts';
import { Admission } from './admission.ts';
import { announcePosition, clientOf, send, singleHeader, type Exchange } from './exchange.ts';
import { describeFilter, parseFilter } from './filter.ts';
import { FrameCache } from './frame-cache.ts';
import { encodeComment, encodeFrame, encodeRetry } from './frames.ts';
import { Places } from './places.ts';
import { parseQuery } from './query.ts';
import { Turns } from '../turns.ts';
import { StreamSession } from './stream-session.ts';

const QUIET_MS = 15_000;
const BEAT_EVERY_MS = 1_000;
const STALL_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 3_000;

export interface StreamsOptions {
  readonly service: ConfigService;
  readonly now?: () => number;
  readonly random?: () => number;
  /** A reader that takes nothing for this long is closed. Default 30,000. */
  readonly stallMs?: number;
  /** A snapshot keeps its place for so long at most. Default 5,000. */
  readonly placeMs?: number | undefined;
  readonly onReset?: (reason: ResetReason) => void;
  /** Shared with whatever else is told of every change. Default: their own. */
  readonly turns?: Turns;
  /** Default: one with the default limits. */
  readonly admission?: Admission;
}

/** All streams of one node, with one heartbeat for all. */
export class Streams {
  readonly #service: ConfigService;
  readonly #frames: FrameCache;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #stallMs: number;
  readonly #onReset: (reason: ResetReason) => void;
  readonly #turns: Turns;
  readonly #admission: Admission;
  readonly #places: Places;
  readonly #sessions = new Set<StreamSession>();
  readonly #heartbeat: NodeJS.Timeout;
  #isDraining = false;

  constructor(options: StreamsOptions) {
    this.#service = options.service;
    this.#frames = new FrameCache(options.service);
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
    this.#stallMs = options.stallMs ?? STALL_MS;
    this.#onReset = options.onReset ?? (() => undefined);
    this.#turns = options.turns ?? new Turns();
    this.#admission = options.admission ?? new Admission();
    this.#places = new Places(this.#admission.limits.maxSnapshots, options.placeMs);
    this.#heartbeat = setInterval(() => {
      for (const session of this.#sessions) session.beat(QUIET_MS);
    }, BEAT_EVERY_MS);
    this.#heartbeat.unref();
  }

  /** Streams whose snapshot waits until others have had theirs. */
  get waitingSnapshots(): number {
    return this.#places.waiting;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * `GET /watch`. What is wrong with the request is told before the stream; once it is valid the answer is a 200 stream, whatever happens: any
   * other status would end a browser's EventSource for good.
   * @throws {AttuneError} INVALID_ARGUMENT, INVALID_KEY
   */
  async open(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const query = parseQuery(request.url ?? '', { prefix: 'many', key: 'many', since: 'single', snapshot: 'flag' });
    const filter = parseFilter(query.all('key'), query.all('prefix'));
    const since = query.get('since');
    const fromUrl = since === undefined ? undefined : parseCursor(since);
    // Browsers repeat the URL on reconnect: the header is the younger position.
    const lastEventId = singleHeader(request, 'last-event-id');
    const cursor = lastEventId === undefined || lastEventId === '' ? fromUrl : (tryParseCursor(lastEventId) ?? 'unreadable');
    const wantsSnapshot = query.flag('snapshot');
    if (request.method === 'HEAD') {
      send(exchange, {
        status: 200,
        headers: STREAM_HEADERS,
      });
      return;
    }
    if (response.destroyed) return;
    announcePosition(exchange);
    const connection = new BoundedConnection(response);
    const session = new Session(connection, { keepAlive: null, retry: null, trustClientEventId: false });
    await new Promise<void>((resolve) => session.once('connected', resolve));
    if (!connection.isWritable) return;
    connection.write(encodeComment(`attune: watching ${describeFilter(filter)}`));
    const isAdmitted = this.#admit(connection, clientOf(request));
    const retryMs = isAdmitted ? this.#retryMs() : this.#admission.retryMs();
    // Plain EventSources know only this one.
    connection.write(encodeRetry(retryMs));
    if (isAdmitted) await this.#begin(connection, filter, cursor, wantsSnapshot, exchange);
    else this.#sendAway(connection, retryMs);
  }

  /** True if there is a place for another stream. */
  #admit(connection: BoundedConnection, client: string): boolean {
    try {
      connection.onClose(this.#admission.enter('stream', client));
      return true;
    } catch {
      return false;
    }
  }

  /** Sends every client away, spread over `spreadMs`, and lets no new one in. */
  drain(spreadMs: number): void {
    this.#isDraining = true;
    for (const session of this.#sessions) this.#turns.request({ takeTurn: () => session.goAway(this.#random() * spreadMs) });
  }

  close(): void {
    clearInterval(this.#heartbeat);
  }

  async #begin(
    connection: BoundedConnection,
    filter: Filter,
    cursor: Cursor | 'unreadable' | undefined,
    wantsSnapshot: boolean,
    exchange: Exchange,
  ): Promise<void> {
    const { state } = this.#service;
    if (this.#isDraining || state === 'connecting' || state === 'closed') return this.#sendAway(connection);
    let located: Located;
    try {
      located = await this.#locate(cursor, exchange);
    } catch {
      // The store could not be asked, or this node did not catch up: another one may do better.
      return this.#sendAway(connection);
    }
    if (!connection.isWritable) return;
    // The history may have been replaced while this waited.
    if (typeof cursor === 'object' && 'position' in located) located = this.#service.locate(cursor);
    const session: StreamSession = new StreamSession(
      {
        service: this.#service,
        connection,
        filter,
        frames: this.#frames,
        turns: this.#turns,
        places: this.#places,
        now: this.#now,
        stallMs: this.#stallMs,
        onReset: this.#onReset,
        onTooSlow: () => session.goAway(this.#retryMs()),
      },
      'reset' in located ? this.#service.revision : located.position,
    );
    const unsubscribe = this.#service.subscribe(filter, session);
    this.#sessions.add(session);
    connection.onClose(() => {
      unsubscribe();
      this.#sessions.delete(session);
      session.dispose();
    });
    if (this.#isDraining) return session.goAway(this.#retryMs());
    session.start('reset' in located ? located.reset : undefined, cursor === undefined && wantsSnapshot);
  }

  async #locate(cursor: Cursor | 'unreadable' | undefined, exchange: Exchange): Promise<Located> {
    if (cursor === 'unreadable') return { reset: 'epoch' };
    return cursor === undefined ? { position: this.#service.revision } : this.#service.locateCaughtUp(cursor, { signal: exchange.signal });
  }

  #sendAway(connection: BoundedConnection, retryMs = this.#retryMs()): void {
    connection.write(encodeFrame('goaway', JSON.stringify({ retryMs: Math.round(retryMs) })));
    connection.end(this.#stallMs);
  }

  /** Jittered, so that clients that lost the same node do not come back as one. */
  #retryMs(): number {
    return RETRY_MIN_MS + this.#random() * (RETRY_MAX_MS - RETRY_MIN_MS);
  }
}
