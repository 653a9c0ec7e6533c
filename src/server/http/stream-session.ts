import { formatCursor } from '../../core/cursor.ts';
import type { ConfigKey } from '../../core/key.ts';
import type { ResetReason, ServiceState } from '../../core/item.ts';
import type { Revision } from '../../core/revision.ts';
import type { Filter } from '../cache/fan-out.ts';
import type { MirrorView } from '../cache/mirror.ts';
import { firstVersionOf, selectChanges, type ConfigBatch, type ConfigService, type ConfigSubscriber } from '../config-service.ts';
import type { BoundedConnection } from './bounded-connection.ts';
import type { FrameCache } from './frame-cache.ts';
import type { Places } from './places.ts';
import type { Turn, Turns } from '../turns.ts';
import { encodeComment, encodeFrame } from './frames.ts';

const MAX_SNAPSHOT_ITEMS = 256;
const MAX_SNAPSHOT_BYTES = 256 * 1024;
/** Batches looked at before other work gets its turn. */
const BATCHES_PER_TURN = 1_000;

interface SnapshotInProgress {
  readonly view: MirrorView;
  readonly keys: Iterator<ConfigKey, void, undefined>;
  next: IteratorResult<ConfigKey, void>;
  count: number;
}

export interface StreamSessionOptions {
  readonly service: ConfigService;
  readonly connection: BoundedConnection;
  readonly filter: Filter;
  readonly frames: FrameCache;
  readonly turns: Turns;
  /** For snapshots. */
  readonly places: Places;
  readonly now: () => number;
  /** A reader that takes nothing for this long is closed. */
  readonly stallMs: number;
  readonly onReset: (reason: ResetReason) => void;
  /** The session wants to be sent away: it was too slow twice. */
  readonly onTooSlow: () => void;
}

/**
 * One stream: a position in the window and a socket. It holds no queue: what it has to send is read from the window when the socket
 * has room, so that a slow reader costs at most what is unsent, and a change is rendered once for all.
 *
 *     snapshot ─all sent→ replay ─window's end→ (synced) live;  live ─no room→ replay ─drained, window's end→ live
 *     any ─position lost→ reset, snapshot;  twice slow → sent away
 */
export class StreamSession implements ConfigSubscriber, Turn {
  readonly #options: StreamSessionOptions;
  #position: Revision;
  #snapshot: SnapshotInProgress | undefined;
  /** A snapshot is due and waits for its place. */
  #awaitsPlace = false;
  #leavePlace: () => void = () => undefined;
  #isSynced = false;
  #sentCount = 0;
  /** At the window's end with room to write: the next batch goes out at once. */
  #isCurrent = false;
  #pendingReset: ResetReason | undefined;
  #pendingStatus: Buffer | undefined;
  #wasSlow = false;
  #isEnded = false;
  #isPumping = false;
  #isWaiting = false;
  /** Quiet for so long that it must say something. */
  #owesSign = false;
  #stall: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #wroteAt: number;

  constructor(options: StreamSessionOptions, position: Revision) {
    this.#options = options;
    this.#position = position;
    this.#wroteAt = options.now();
    options.connection.onDrain(() => this.#pump());
  }

  /** Begins to send: a reset if the position is of no use, a snapshot if one is wanted, then whatever follows the position. */
  start(reset: ResetReason | undefined, wantsSnapshot: boolean): void {
    const { state, since } = this.#options.service;
    // Only noted: sent at once it would be followed by `synced`, before the snapshot or reset that is due.
    if (state === 'stale') this.#pendingStatus = encodeStatus(state, since);
    if (reset) this.#beginReset(reset);
    else if (wantsSnapshot) this.#beginSnapshot();
    this.#pump();
  }

  onBatch(batch: ConfigBatch): void {
    if (this.#isEnded) return;
    if (this.#isCurrent) {
      // Current means that nothing of this filter lies between the position and this batch.
      this.#position = Math.max(this.#position, firstVersionOf(batch) - 1) as Revision;
      this.#isCurrent = false;
    }
    this.#requestTurn();
  }

  onReset(reason: ResetReason): void {
    if (this.#isEnded) return;
    this.#beginReset(reason);
    this.#requestTurn();
  }

  onState(state: ServiceState, since: number): void {
    if (this.#isEnded || (state !== 'stale' && state !== 'live')) return;
    this.#pendingStatus = encodeStatus(state, since);
    this.#requestTurn();
  }

  /** Called now and then: keeps a quiet stream alive and its position young. */
  beat(quietMs: number): void {
    if (this.#isEnded || this.#options.now() - this.#wroteAt < quietMs) return;
    this.#owesSign = true;
    this.#requestTurn();
  }

  takeTurn(): void {
    this.#isWaiting = false;
    this.#pump();
  }

  #requestTurn(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#options.turns.request(this);
  }

  #sendSign(): void {
    const { service } = this.#options;
    if (this.#isCurrent && service.revision > this.#position) {
      this.#position = service.revision;
      this.#write(encodeFrame('bookmark', `{"revision":${this.#position}}`, this.#cursor()));
    } else this.#write(encodeComment('ping'));
  }

  /** Sends the client away: it comes back after `retryMs`. */
  goAway(retryMs: number): void {
    if (this.#isEnded) return;
    this.#write(encodeFrame('goaway', JSON.stringify({ retryMs: Math.round(retryMs) })));
    this.dispose();
    this.#options.connection.end(this.#options.stallMs);
  }

  /** Forgets timers; nothing is written any more. Idempotent. */
  dispose(): void {
    this.#isEnded = true;
    this.#forgetStall();
    if (this.#turn) clearImmediate(this.#turn);
    this.#snapshot = undefined;
    this.#leavePlace();
  }

  #beginReset(reason: ResetReason): void {
    this.#options.onReset(reason);
    this.#pendingReset = reason;
    this.#beginSnapshot();
  }

  #beginSnapshot(): void {
    this.#isSynced = false;
    this.#isCurrent = false;
    this.#snapshot = undefined;
    this.#leavePlace();
    this.#awaitsPlace = true;
    let isAtOnce = true;
    this.#leavePlace = this.#options.places.request(() => {
      const { service, filter } = this.#options;
      const view = service.view();
      const keys = service.keysOf(view, filter);
      this.#awaitsPlace = false;
      this.#snapshot = { view, keys, next: keys.next(), count: 0 };
      // Else whoever began it goes on to send.
      if (!isAtOnce) this.#requestTurn();
    });
    isAtOnce = false;
  }

  /** Writes as much as there is room for. */
  #pump(): void {
    if (this.#isPumping || this.#isEnded || this.#turn) return;
    this.#isPumping = true;
    try {
      if (this.#options.connection.hasRoom) this.#forgetStall();
      for (let turns = 0; this.#hasToSend(); turns++) {
        if (turns >= BATCHES_PER_TURN) {
          this.#turn = setImmediate(() => {
            this.#turn = undefined;
            this.#pump();
          });
          return;
        }
        this.#sendNext();
      }
      if (this.#pendingStatus && this.#options.connection.hasRoom && !this.#isEnded) this.#sendStatus(this.#pendingStatus);
      if (this.#owesSign && this.#options.connection.hasRoom && !this.#isEnded) this.#sendSign();
      if (!this.#options.connection.hasRoom && !this.#isEnded) this.#awaitRoom();
    } finally {
      this.#isPumping = false;
    }
  }

  #hasToSend(): boolean {
    if (this.#isEnded || this.#isCurrent || !this.#options.connection.hasRoom) return false;
    return !this.#awaitsPlace || this.#pendingReset !== undefined || this.#pendingStatus !== undefined;
  }

  #sendNext(): void {
    if (this.#pendingReset) {
      this.#write(encodeFrame('reset', JSON.stringify({ reason: this.#pendingReset })));
      this.#pendingReset = undefined;
    } else if (this.#pendingStatus) this.#sendStatus(this.#pendingStatus);
    else if (this.#snapshot) this.#sendSnapshotPart(this.#snapshot);
    else this.#sendNextBatch();
  }

  #sendStatus(frame: Buffer): void {
    this.#pendingStatus = undefined;
    this.#write(frame);
  }

  #sendSnapshotPart(snapshot: SnapshotInProgress): void {
    const { service } = this.#options;
    const items: Buffer[] = [];
    let bytes = 0;
    let isDone = false;
    while (items.length < MAX_SNAPSHOT_ITEMS) {
      const { value: key, done } = snapshot.next;
      if (done || key === undefined) {
        isDone = true;
        break;
      }
      const item = service.renderedItem(key, snapshot.view);
      // One that is too large for any part has a part of its own.
      if (item && items.length > 0 && bytes + item.byteLength > MAX_SNAPSHOT_BYTES) break;
      snapshot.next = snapshot.keys.next();
      if (!item) continue;
      items.push(item);
      bytes += item.byteLength + 1;
    }
    snapshot.count += items.length;
    if (items.length > 0) this.#write(encodeFrame('snapshot', `{"revision":${snapshot.view.revision},"items":[${items.join(',')}]}`));
    if (!isDone) return;
    this.#snapshot = undefined;
    this.#leavePlace();
    this.#position = snapshot.view.revision;
    this.#sentCount = snapshot.count;
    this.#sendSynced();
  }

  #sendSynced(): void {
    this.#isSynced = true;
    this.#write(encodeFrame('synced', `{"revision":${this.#position},"count":${this.#sentCount}}`, this.#cursor()));
  }

  #sendNextBatch(): void {
    const { service, filter, frames } = this.#options;
    if (this.#position < service.window.oldest) {
      if (this.#wasSlow) {
        this.#options.onReset('slow');
        this.#options.onTooSlow();
        return;
      }
      this.#wasSlow = true;
      this.#beginReset('slow');
      return;
    }
    const batch = service.window.next(this.#position);
    if (!batch) {
      if (!this.#isSynced) {
        this.#position = service.revision;
        this.#sendSynced();
      }
      this.#isCurrent = true;
      return;
    }
    const changes = selectChanges(batch, filter, this.#position);
    this.#position = batch.revision;
    if (changes.length > 0) this.#write(frames.changeFrame(batch, changes));
  }

  #cursor(): string {
    return formatCursor(this.#options.service.cursorAt(this.#position));
  }

  #write(frame: Buffer): void {
    this.#owesSign = false;
    this.#wroteAt = this.#options.now();
    this.#options.connection.write(frame);
  }

  /** Room is what counts: a reader that is slow but steady may never have read everything, which is when `drain` comes. */
  #awaitRoom(): void {
    this.#stall ??= setTimeout(() => {
      this.#stall = undefined;
      if (this.#options.connection.hasRoom) return this.#pump();
      this.dispose();
      this.#options.connection.destroy();
    }, this.#options.stallMs);
  }

  #forgetStall(): void {
    clearTimeout(this.#stall);
    this.#stall = undefined;
  }
}

function encodeStatus(state: ServiceState, since: number): Buffer {
  return encodeFrame('status', JSON.stringify({ state, since: new Date(since).toISOString() }));
}
