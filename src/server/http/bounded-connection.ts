import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Connection } from 'better-sse';

/** Bytes that may be unsent when a frame is begun; a frame once begun is written whole. */
export const MAX_UNSENT_BYTES = 1024 * 1024;

/** A frame up to this length is copied once to be a chunk; for a longer one the copy would cost more than it saves. */
const MAX_COPIED_BYTES = 64 * 1024;

const CRLF = Buffer.from('\r\n');

/** What a stream's answer carries beside what every answer carries. */
export const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

/*
 * What a session reads of its request and answer while it opens a stream. Shared: objects of their own would be a third of what an idle stream
 * costs. A session that never hears of an end is held by nobody once it has opened.
 */
const OPENING_URL = new URL('http://localhost/');
const OPENING_REQUEST = {
  headers: new Headers(),
  signal: { addEventListener: ignore, removeEventListener: ignore },
} as unknown as Request;
const OPENING_RESPONSE = new Response(null, { headers: STREAM_HEADERS });

function ignore(): void {
  // Nothing to do.
}

/**
 * A better-sse connection that is bounded and safe where its own ones are not: it says whether the reader keeps up, survives
 * a response that was ended or destroyed, and never writes to one.
 */
export class BoundedConnection extends Connection {
  readonly url = OPENING_URL;
  readonly request = OPENING_REQUEST;
  readonly response = OPENING_RESPONSE;
  readonly #res: ServerResponse;
  #onDrain: () => void = () => undefined;

  constructor(res: ServerResponse) {
    super();
    this.#res = res;
    // A reader that vanished in the middle of a write ends the stream, not the process.
    res.on('error', ignore);
  }

  get isWritable(): boolean {
    return !this.#res.destroyed && !this.#res.writableEnded;
  }

  /** True if another frame may be begun. */
  get hasRoom(): boolean {
    return this.isWritable && (this.#res.socket ?? this.#res).writableLength < MAX_UNSENT_BYTES;
  }

  sendHead(): void {
    if (!this.isWritable || this.#res.headersSent) return;
    this.#res.writeHead(200, STREAM_HEADERS);
    this.#res.flushHeaders();
  }

  sendChunk(chunk: string): void {
    if (chunk !== '') this.write(Buffer.from(chunk));
  }

  /** Writes a whole frame, which may be shared with other connections: it is made a chunk of HTTP once, for all of them. */
  write(frame: Buffer): void {
    if (!this.isWritable) return;
    const { socket, chunkedEncoding } = this.#res;
    // The response's own `write` frames every chunk anew, for three times the cost. What it still holds goes first.
    const isNext = socket?.writable && this.#res.writableLength === socket.writableLength;
    if (!socket || !isNext || frame.byteLength > MAX_COPIED_BYTES) this.#res.write(frame);
    else socket.write(chunkedEncoding ? chunkOf(frame) : frame);
  }

  /** Hears whenever everything was sent. */
  onDrain(listener: () => void): void {
    this.#onDrain = listener;
    const { socket } = this.#res;
    if (socket) this.#follow(socket);
  }

  /** Ends the stream after what was written; a reader that does not take it within `withinMs` is closed all the same. */
  end(withinMs: number): void {
    if (!this.isWritable) return;
    this.#res.end();
    const timer = setTimeout(() => this.#res.destroy(), withinMs);
    this.#res.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.#res.req.socket.destroy();
  }

  /** Hears once when the stream is over, whoever ended it. */
  onClose(listener: () => void): void {
    this.#res.once('close', listener);
  }

  cleanup(): void {
    // What a session lets go of was never held.
  }

  readonly #follow = (socket: Socket): void => {
    socket.on('drain', this.#onDrain);
    // The connection may serve other requests afterwards.
    this.#res.once('close', () => socket.off('drain', this.#onDrain));
  };
}

const chunks = new WeakMap<Buffer, Buffer>();

/** RFC 9112, 7.1. */
function chunkOf(frame: Buffer): Buffer {
  const known = chunks.get(frame);
  if (known) return known;
  const chunk = Buffer.concat([Buffer.from(`${frame.byteLength.toString(16)}\r\n`), frame, CRLF]);
  chunks.set(frame, chunk);
  return chunk;
}
