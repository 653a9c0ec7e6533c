import { assertNever } from '../core/assert-never.ts';
import { backoffMs, type BackoffOptions } from '../core/backoff.ts';
import { UnavailableError } from '../core/errors.ts';
import type { Clock } from './clock.ts';
import { isHeldBack, type FrameSource } from './frame-source.ts';
import { INITIAL_SYNC, step, type Served, type SyncAction, type SyncEvent, type SyncState } from './sync.ts';

export interface SyncLoopOptions {
  readonly source: FrameSource;
  readonly clock: Clock;
  readonly random: () => number;
  readonly backoff: BackoffOptions;
  /** Performs `replace` and `apply`. */
  readonly onData: (action: Extract<SyncAction, { readonly type: 'replace' | 'apply' }>) => void;
  readonly onError: (error: unknown) => void;
  /** After every step, when all its actions are done. */
  readonly onStep: (before: SyncState, after: SyncState) => void;
}

/** Runs the machine of sync.ts against a server: at most one connection, at most one timer. */
export class SyncLoop {
  readonly #options: SyncLoopOptions;
  #state: SyncState = INITIAL_SYNC;
  #connection: AbortController | undefined;
  #cancelTimer: (() => void) | undefined;
  /** The reading of the newest connection, for `close` to wait for. */
  #reading: Promise<void> = Promise.resolve();
  readonly #events: SyncEvent[] = [];
  #isStepping = false;

  constructor(options: SyncLoopOptions) {
    this.#options = options;
  }

  get state(): SyncState {
    return this.#state;
  }

  start(): void {
    this.#send({ type: 'start' });
  }

  serve(served: Served): void {
    this.#send({ type: 'serve', served });
  }

  /** Resolves when the connection is given back. Idempotent. */
  async close(): Promise<void> {
    this.#send({ type: 'close' });
    await this.#reading;
  }

  /** One step at a time: a listener may call back into the client while a step is being performed. */
  #send(event: SyncEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const before = this.#state;
        const { state, actions } = step(before, next);
        this.#state = state;
        for (const action of actions) this.#perform(action);
        this.#options.onStep(before, state);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(action: SyncAction): void {
    const { clock, backoff, random } = this.#options;
    switch (action.type) {
      case 'connect':
        this.#reading = this.#read(action);
        return;
      case 'disconnect':
        this.#connection?.abort();
        this.#connection = undefined;
        this.#cancelTimer?.();
        return;
      case 'wait':
        this.#cancelTimer = clock.after(Math.max(action.floorMs, backoffMs(action.attempt, backoff, random)), () =>
          this.#send({ type: 'timer', at: clock.now() }),
        );
        return;
      case 'replace':
      case 'apply':
        this.#options.onData(action);
        return;
      case 'report':
        this.#options.onError(action.error);
        return;
      default:
        assertNever(action);
    }
  }

  async #read({ transport, cursor, elsewhere }: Extract<SyncAction, { readonly type: 'connect' }>): Promise<void> {
    const connection = new AbortController();
    const { source, clock } = this.#options;
    this.#connection = connection;
    let isHeard = false;
    // What an abandoned connection still says is not heard.
    const send = (event: SyncEvent): void => {
      if (this.#connection === connection) this.#send(event);
    };
    try {
      const frames = source({
        transport,
        cursor,
        elsewhere,
        signal: connection.signal,
        onHeard: () => (isHeard = true),
        onRetry: (retryMs) => send({ type: 'retry', retryMs }),
      });
      for await (const frame of frames) {
        send({ type: 'frame', frame, at: clock.now() });
        // What else came in the same chunk is of no use.
        if (connection.signal.aborted) return;
      }
      send({ type: 'lost', cause: new UnavailableError('the server ended the stream'), at: clock.now(), isSilent: !isHeard });
    } catch (cause) {
      send({ type: 'lost', cause, at: clock.now(), isSilent: !isHeard && isHeldBack(cause) });
    } finally {
      connection.abort();
    }
  }
}
