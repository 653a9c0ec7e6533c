import type { Socket } from 'node:net';
import { inParallel, openSocket } from './socket.ts';

/** Connections being opened at a time: below the length of a server's queue. */
const WIDTH = 200;

export interface OpenListeners {
  readonly port: number;
  readonly count: number;
  /** Sent on every connection when it opens; with several, in turn. Empty: nothing yet. */
  readonly requests: readonly string[];
  /** Text that every connection hears before it counts as open; undefined: open is enough. */
  readonly readyMarker?: string | undefined;
  readonly withinMs: number;
}

export interface TriggerChange {
  /** The write, a whole request, over a connection of its own. */
  readonly port: number;
  readonly request: string;
  /** What everybody has to hear; short. */
  readonly marker: string;
  /** How many of the connections. Default: all of them. */
  readonly listeners?: number;
  readonly withinMs: number;
}

export interface Arrivals {
  /** Milliseconds from the moment before the write was sent, in the order of arrival. */
  readonly times: readonly number[];
  /** What the first one to hear read in that moment. */
  readonly first: string;
}

interface Listener {
  socket: Socket;
  /** The last bytes read, in which a marker may have begun. */
  tail: Buffer;
  hasHeard: boolean;
}

/** Many connections that wait for the same text: streams, or held polls. Nothing is parsed: the text is looked for in what comes. */
export class Listeners implements Disposable {
  readonly #listeners: Listener[] = [];
  #marker: Buffer = Buffer.alloc(0);
  #wanted = 0;
  #times: number[] = [];
  #first = '';
  #since = 0;
  #done: (() => void) | undefined;
  #lost = 0;
  #isClosed = false;

  /** Resolves when every connection is open and, if there is a marker, has heard it. */
  async open({ port, count, requests, readyMarker, withinMs }: OpenListeners): Promise<void> {
    const heard = readyMarker === undefined ? undefined : this.#expect(readyMarker, count, withinMs);
    const opening = inParallel(count, WIDTH, async (index) => {
      const listener: Partial<Listener> = { tail: Buffer.alloc(0), hasHeard: false };
      listener.socket = await openSocket(port, {
        onBytes: (bytes) => this.#hear(listener as Listener, bytes),
        onClose: () => {
          if (!this.#isClosed) this.#lost++;
        },
      });
      this.#listeners.push(listener as Listener);
      const request = requests[index % requests.length];
      if (request !== undefined) listener.socket.write(request);
    });
    await Promise.all([opening, heard]);
  }

  /** Sends a request on every connection. */
  send(request: string): void {
    const bytes = Buffer.from(request);
    for (const { socket } of this.#listeners) socket.write(bytes);
  }

  /** Writes, and resolves when all have heard of it. */
  async change({ port, request, marker, listeners = this.#listeners.length, withinMs }: TriggerChange): Promise<Arrivals> {
    const writer = await openSocket(port, { onBytes: () => undefined, onClose: () => undefined });
    try {
      const heard = this.#expect(marker, listeners, withinMs);
      this.#since = performance.now();
      writer.write(request);
      await heard;
      return { times: this.#times, first: this.#first };
    } finally {
      writer.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const { socket } of this.#listeners) socket.destroy();
  }

  async #expect(marker: string, count: number, withinMs: number): Promise<void> {
    this.#marker = Buffer.from(marker);
    this.#wanted = count;
    this.#times = [];
    for (const listener of this.#listeners) {
      listener.hasHeard = false;
      listener.tail = Buffer.alloc(0);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(
            new Error(`${this.#times.length} of ${count} heard '${marker}' within ${withinMs} ms; ${this.#lost} connections were lost`),
          ),
        withinMs,
      );
      this.#done = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #hear(listener: Listener, bytes: Buffer): void {
    if (listener.hasHeard || this.#marker.length === 0) return;
    const marker = this.#marker;
    const text = listener.tail.length === 0 ? bytes : Buffer.concat([listener.tail, bytes]);
    if (!text.includes(marker)) {
      listener.tail = Buffer.from(text.subarray(Math.max(0, text.length - marker.length + 1)));
      return;
    }
    listener.hasHeard = true;
    if (this.#times.length === 0) this.#first = text.toString();
    this.#times.push(performance.now() - this.#since);
    if (this.#times.length === this.#wanted) this.#done?.();
  }
}
