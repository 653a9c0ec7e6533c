/** The events of a stream (`design/http.md`, "Streams"). */
export type StreamEvent = 'snapshot' | 'synced' | 'change' | 'bookmark' | 'reset' | 'status' | 'goaway';

// What would end a field, or the id (a NUL makes EventSource ignore it): WHATWG HTML, 9.2.6.
const UNSAFE = /[\r\n\0]/;

/**
 * One event as bytes. `data` is JSON on one line; an `id` goes only with events that a client may resume after. Nothing in them can
 * begin a field of its own.
 * @throws {Error} a line break or NUL in `data` or `id`: a fault of ours, never sent.
 */
export function encodeFrame(event: StreamEvent, data: string, id?: string): Buffer {
  if (UNSAFE.test(data) || (id !== undefined && UNSAFE.test(id))) throw new Error(`a ${event} frame would break its line`);
  return Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);
}

/** A comment: seen by people and proxies, ignored by clients. */
export function encodeComment(text: string): Buffer {
  return Buffer.from(`: ${text.replaceAll(/[\r\n\0]/g, ' ')}\n\n`);
}

/** How long a client waits before it comes back. */
export function encodeRetry(retryMs: number): Buffer {
  return Buffer.from(`retry: ${Math.round(retryMs)}\n\n`);
}
