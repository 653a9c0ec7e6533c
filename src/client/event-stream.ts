import { createParser } from 'eventsource-parser';
import { ProtocolError, UnavailableError } from '../core/errors.ts';
import { linkAbort, type AbortLink } from './abort-link.ts';
import type { Clock } from './clock.ts';
import { mediaTypeOf } from './media-type.ts';
import { describeNetworkFailure } from './network-failure.ts';
import type { Transport } from './transport.ts';

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
  /** The first byte has come. It has as long as connecting; a server says something at once. */
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
export async function* readEventStream(
  transport: Transport,
  clock: Clock,
  options: EventStreamOptions,
): AsyncGenerator<StreamFrame, void, undefined> {
  const link = linkAbort(options.signal, clock);
  link.expireAfter(options.connectTimeoutMs);
  try {
    const { server, response } = await transport.open(
      {
        method: 'GET',
        target: options.target,
        accept: 'text/event-stream',
        headers: { 'last-event-id': options.lastEventId },
        signal: options.signal,
        timeoutMs: options.connectTimeoutMs,
      },
      options.elsewhere,
      link,
    );
    const type = mediaTypeOf(response.headers);
    if (type !== 'text/event-stream' || !response.body) {
      throw new ProtocolError(`${server} answered ${type === '' ? 'nothing' : type} where an event stream was asked for; is this its URL?`);
    }
    options.onOpen?.(server);

    const frames: StreamFrame[] = [];
    const parser = createParser({
      maxBufferSize: options.maxFrameChars,
      onEvent: ({ event = 'message', id, data }) => frames.push({ event, id, data }),
      onRetry: options.onRetry,
      onError: (error) => {
        // Unknown fields are to be ignored (WHATWG HTML, 9.2.6); a frame without end is not.
        if (error.type === 'max-buffer-size-exceeded')
          throw new ProtocolError(`${server} sent a frame longer than ${options.maxFrameChars} characters`);
      },
    });
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const reader = response.body.getReader();
    for (
      let waitMs = Math.min(options.connectTimeoutMs, options.silenceMs), isFirst = true;
      ;
      waitMs = options.silenceMs, isFirst = false
    ) {
      link.expireAfter(waitMs);
      const chunk = await readChunk(reader, server, waitMs, link);
      // Only the wait is timed: a reader that takes its time must not make the server look silent.
      link.expireNever();
      if (chunk === undefined) return;
      if (isFirst) options.onHeard?.();
      parser.feed(decode(decoder, chunk, server));
      yield* frames.splice(0);
    }
  } catch (error) {
    // To stop is not to fail.
    if (!options.signal?.aborted) throw error;
  } finally {
    // Gives the socket back, however it ended.
    link.abort();
    link.release();
  }
}

async function readChunk(
  reader: { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> },
  server: string,
  silenceMs: number,
  link: AbortLink,
): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  } catch (cause) {
    if (link.expired)
      throw new UnavailableError(`${server} was silent for ${silenceMs} ms, not even a ping came`, { cause, details: { url: server } });
    throw new UnavailableError(`the stream from ${server} broke: ${describeNetworkFailure(cause).reason}`, {
      cause,
      details: { url: server },
    });
  }
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
