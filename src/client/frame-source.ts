import { isAttuneError } from '../core/errors.ts';
import type { Clock } from './clock.ts';
import { readEventStream } from './event-stream.ts';
import { parseFrame, type ServerFrame } from './frames.ts';
import { longPoll } from './long-poll.ts';
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

export interface FrameSourceOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly prefixes: readonly string[];
  readonly requestTimeoutMs: number;
  readonly silenceMs: number;
}

/** A longer frame is a ProtocolError. Characters. */
const MAX_FRAME_CHARS = 64 * 1024 * 1024;

/** Frames of `prefixes` from the servers behind `transport`. */
export function createFrameSource({ transport, clock, prefixes, requestTimeoutMs, silenceMs }: FrameSourceOptions): FrameSource {
  async function* stream({ cursor, elsewhere, signal, onHeard, onRetry }: FrameRequest): AsyncGenerator<ServerFrame, void, undefined> {
    const frames = readEventStream(transport, clock, {
      target: `/api/v1/watch${formatQuery({ prefix: prefixes, snapshot: true })}`,
      lastEventId: cursor,
      elsewhere,
      signal,
      connectTimeoutMs: requestTimeoutMs,
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
  return (request) =>
    request.transport === 'stream'
      ? stream(request)
      : longPoll({ ...request, fetch: transport, clock, prefixes, timeoutMs: requestTimeoutMs });
}

/**
 * True if a stream that failed so, before its first byte, was asked for and held back, as a proxy that buffers does. Not if it was answered
 * with a refusal, nor if nobody was there.
 */
export function isHeldBack(cause: unknown): boolean {
  return isAttuneError(cause, 'UNAVAILABLE') && cause.details['status'] === undefined && cause.details['unsent'] !== true;
}
