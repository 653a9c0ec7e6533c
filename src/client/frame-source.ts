import { isAttuneError } from '../core/errors.ts';
import { readEventStream } from './event-stream.ts';
import { parseFrame, type ServerFrame } from './frames.ts';
import { formatQuery } from './request-path.ts';
import type { Transport } from './transport.ts';

/** One connection of a client: what the server says, as frames, until it ends or `signal` aborts. */
export interface FrameRequest {
  readonly transport: 'stream' | 'poll';
  /** Where to go on; undefined: begin with the state. */
  readonly cursor: string | undefined;
  /** Ask another server than before. */
  readonly elsewhere: boolean;
  readonly signal: AbortSignal;
  /** The first byte has come. */
  readonly onHeard: () => void;
  readonly onRetry: (retryMs: number) => void;
}

export type FrameSource = (request: FrameRequest) => AsyncIterable<ServerFrame>;

/** What shares a source with others of the same scope: the same servers and prefixes. */
export type WrapSource = (source: FrameSource, scope: string) => FrameSource;

export interface FrameSourceOptions {
  readonly transport: Transport;
  readonly prefixes: readonly string[];
  readonly requestTimeoutMs: number;
  readonly silenceMs: number;
}

/** For the head of the first streams: three of them pass within the time that a start waits. */
const FIRST_CONNECT_MS = 1_250;

/** A longer frame is a ProtocolError. Characters. */
const MAX_FRAME_CHARS = 64 * 1024 * 1024;

/** Frames of `prefixes` from the servers behind `transport`. */
export function createFrameSource({ transport, prefixes, requestTimeoutMs, silenceMs }: FrameSourceOptions): FrameSource {
  async function* stream({ cursor, elsewhere, signal, onHeard, onRetry }: FrameRequest): AsyncGenerator<ServerFrame, void, undefined> {
    const frames = readEventStream(transport, {
      target: `/api/v1/watch${formatQuery({ prefix: prefixes, snapshot: true })}`,
      lastEventId: cursor,
      elsewhere,
      signal,
      // One that never had a state has not long to wait, and is served by polls as well.
      connectTimeoutMs: cursor === undefined ? Math.min(FIRST_CONNECT_MS, requestTimeoutMs) : requestTimeoutMs,
      silenceMs,
      maxFrameChars: MAX_FRAME_CHARS,
      onHeard,
      onRetry,
    });
    for await (const frame of frames) {
      const parsed = parseFrame(frame);
      if (parsed) yield parsed;
    }
  }
  // Loaded when streams are held back, which is rare.
  async function* poll({ cursor, elsewhere, signal }: FrameRequest): AsyncGenerator<ServerFrame, void, undefined> {
    const { longPoll } = await import('./long-poll.ts');
    if (elsewhere) transport.current++;
    yield* longPoll({ transport, prefixes, cursor, signal, timeoutMs: requestTimeoutMs });
  }
  return (request) => (request.transport === 'stream' ? stream(request) : poll(request));
}

/** True if a stream that failed so, before its first byte, was waited for in vain, as behind a proxy that buffers; not if nobody was there. */
export function isHeldBack(cause: unknown): boolean {
  return isAttuneError(cause) && cause.details['timedOut'] === true;
}
