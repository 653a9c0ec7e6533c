const encoder = new TextEncoder();

/** What one stream asks for: the union of prefixes and keys. */
export interface StreamFilter {
  readonly prefixes: readonly string[];
  readonly keys: readonly string[];
}

export function matches({ prefixes, keys }: StreamFilter, key: string): boolean {
  return keys.includes(key) || prefixes.some((prefix) => key.startsWith(prefix));
}

/** One event stream: what is written is handed over as the reader asks for it. */
export class MemoryStream {
  readonly filter: StreamFilter;
  readonly body: ReadableStream<Uint8Array>;
  readonly #onEnd: (stream: MemoryStream) => void;
  readonly #waiting: string[] = [];
  readonly #idle: (() => void)[] = [];
  /** True while the reader waits for more, and so has dealt with all there was. */
  #isRead = false;
  #isEnded = false;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(filter: StreamFilter, onEnd: (stream: MemoryStream) => void) {
    this.filter = filter;
    this.#onEnd = onEnd;
    // Nothing is asked for in advance: else being asked would not tell that the reader has come so far.
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#isRead = true;
          this.#pump();
        },
        cancel: () => this.#finish(),
      },
      { highWaterMark: 0 },
    );
  }

  write(event: string, data: unknown, cursor?: string): void {
    const id = cursor === undefined ? '' : `id: ${cursor}\n`;
    this.#waiting.push(`${id}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    this.#pump();
  }

  /** Resolves when the reader has dealt with everything that was written, or the stream is over. */
  idle(): Promise<void> {
    if (this.#isEnded || (this.#isRead && this.#waiting.length === 0)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends the stream as a server does that closes it, after what was written. */
  end(): void {
    if (this.#isEnded) return;
    for (const frame of this.#waiting.splice(0)) this.#controller?.enqueue(encoder.encode(frame));
    this.#controller?.close();
    this.#finish();
  }

  /** Breaks the stream as a network does. */
  fail(cause: unknown): void {
    if (!this.#isEnded) this.#controller?.error(cause);
    this.#finish();
  }

  #pump(): void {
    if (this.#isEnded || !this.#isRead) return;
    const frame = this.#waiting.shift();
    if (frame === undefined) {
      this.#settle();
      return;
    }
    this.#isRead = false;
    this.#controller?.enqueue(encoder.encode(frame));
  }

  #finish(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#settle();
    this.#onEnd(this);
  }

  #settle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
