import { createParser } from 'eventsource-parser';
import { isAttuneError, ProtocolError, UnavailableError } from '../core/errors.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import { mediaTypeOf } from './media-type.ts';
import { refusalOf } from './refusal.ts';
import { reasonOf, type Outgoing, type Transport } from './transport.ts';

/**
 * For the first byte after an answer has begun. A server sends one with the head of its answer, so that what is later is held back; three of
 * these pass within the time that a start waits.
 */
const FIRST_BYTE_MS = 1_000;

/** One event of a stream, as it came. */
export interface StreamFrame {
  /** `message` where the server named none. */
  readonly event: string;
  /** The position to resume after; undefined where resuming is not safe. */
  readonly id: string | undefined;
  readonly data: string;
}

export interface EventStreamOptions {
  readonly target: string;
  readonly lastEventId?: string | undefined;
  /** Ask the next server, not the one used last. */
  readonly elsewhere: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly maxFrameChars: number;
  /** The first byte has come. It has {@link FIRST_BYTE_MS}: a server says something at once. */
  readonly onHeard?: (() => void) | undefined;
  readonly onOpen?: ((server: string) => void) | undefined;
  readonly onRetry?: ((retryMs: number) => void) | undefined;
}

/**
 * The frames of one connection, in order. Ends when the server ends it; a frame cut short is not among them. `break` and `signal`
 * end it and release the socket. Frames are handed over as they are asked for, so a slow reader slows the server, not the heap.
 * @throws {UnavailableError} cannot connect, or the connection broke, or nothing (not even a ping) came for `silenceMs`.
 * @throws {ProtocolError} not an event stream, not UTF-8, or a frame longer than `maxFrameChars`.
 * @throws {AttuneError} what the server's problem document says.
 */
export async function* readEventStream(transport: Transport, options: EventStreamOptions): AsyncGenerator<StreamFrame, void, undefined> {
  const { signal, connectTimeoutMs, silenceMs, maxFrameChars } = options;
  const link = linkAbort(signal, transport.clock);
  link.expireAfter(connectTimeoutMs);
  let reader: { read(): Promise<{ readonly value?: Uint8Array }>; cancel(): Promise<void> } | undefined;
  try {
    if (options.elsewhere) transport.current++;
    const server = transport.urlAt(transport.current);
    const { headers, body } = await open(transport, server, options, link);
    const type = mediaTypeOf(headers);
    if (type !== 'text/event-stream' || !body) {
      throw new ProtocolError(`${server} answered ${type || 'nothing'} where an event stream was asked for; is this its URL?`);
    }
    options.onOpen?.(server);

    const frames: StreamFrame[] = [];
    const parser = createParser({
      maxBufferSize: maxFrameChars,
      onEvent: ({ event = 'message', id, data }) => frames.push({ event, id, data }),
      onRetry: options.onRetry,
      onError: (error) => {
        // Unknown fields are to be ignored (WHATWG HTML, 9.2.6); a frame without end is not.
        if (error.type === 'max-buffer-size-exceeded')
          throw new ProtocolError(`${server} sent a frame longer than ${maxFrameChars} characters`);
      },
    });
    const decoder = new TextDecoder('utf-8', { fatal: true });
    reader = body.getReader();
    for (let isFirst = true; ; isFirst = false) {
      const waitMs = isFirst ? Math.min(FIRST_BYTE_MS, silenceMs) : silenceMs;
      link.expireAfter(waitMs);
      const { value } = await link.race(reader.read()).catch((cause: unknown) => {
        const broke = `the stream from ${server} broke: ${reasonOf(cause)}`;
        throw unavailable(link.expired ? `${server} was silent for ${waitMs} ms, not even a ping came` : broke, cause, server, link);
      });
      // Only the wait is timed: a reader that takes its time must not make the server look silent.
      link.expireNever();
      if (!value) return;
      if (isFirst) options.onHeard?.();
      parser.feed(decode(decoder, value, server));
      yield* frames.splice(0);
    }
  } catch (error) {
    // To stop is not to fail.
    if (!signal?.aborted) throw error;
  } finally {
    // Gives the socket back, however it ended; a body that knows no signal is told as well.
    link.abort();
    link.release();
    reader?.cancel().catch(() => undefined);
  }
}

/** @throws {UnavailableError} nobody answers. @throws {AttuneError} a refusal. */
async function open(
  transport: Transport,
  server: string,
  { target, lastEventId, signal, connectTimeoutMs: timeoutMs }: EventStreamOptions,
  link: AbortLink,
): Promise<Response> {
  const request: Outgoing = {
    method: 'GET',
    target,
    accept: 'text/event-stream',
    headers: { 'last-event-id': lastEventId },
    signal,
    timeoutMs,
  };
  try {
    const headers = await link.race(transport.headersOf(request));
    const response = await link.race(transport.fetch(server, request, headers, link.signal));
    if (response.status === 200) return response;
    const bytes = new Uint8Array(await link.race(response.arrayBuffer()));
    throw refusalOf({ server, status: response.status, headers: response.headers, bytes }, transport.clock.now());
  } catch (cause) {
    if (isAttuneError(cause)) throw cause;
    throw unavailable(
      `cannot reach ${server}: ${link.expired ? `no answer within ${timeoutMs} ms` : reasonOf(cause)}`,
      cause,
      server,
      link,
    );
  }
}

function unavailable(message: string, cause: unknown, url: string, { expired }: AbortLink): UnavailableError {
  return new UnavailableError(message, { cause, details: { url, ...(expired && { timedOut: true }) } });
}

function decode(
  decoder: { decode(chunk: Uint8Array, options: { readonly stream: boolean }): string },
  chunk: Uint8Array,
  server: string,
): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new ProtocolError(`${server} sent bytes that are not UTF-8`, { cause });
  }
}
