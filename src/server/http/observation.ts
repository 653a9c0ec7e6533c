import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Metrics } from './metrics.ts';

export const REQUEST_ID = 'X-Request-Id';

/** The id that a request brings, if it is harmless in logs and headers, else a new one. */
export type RequestIds = (given: string | readonly string[] | undefined) => string;

const FIRST_COUNT = 0x1000_0000;
const MAX_COUNT = 0xffff_ffff;

/** New ids look like UUIDs and are as unique: random up to the last eight digits, which count. Randomness for each request would cost more than its answer. */
export function createRequestIds(): RequestIds {
  let prefix = '';
  let count = MAX_COUNT;
  return (given) => {
    if (typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given)) return given;
    if (count === MAX_COUNT) {
      prefix = randomUUID().slice(0, -8);
      count = FIRST_COUNT;
    }
    return prefix + (count++).toString(16);
  };
}

export interface Observed {
  readonly requestId: string;
  /** `performance.now()` when the request came. */
  readonly startedAt: number;
}

interface Observers {
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Counts and logs a request that was answered. `route` is the path's pattern, never what a user sent. */
export function record(
  { metrics, log }: Observers,
  { method = '' }: IncomingMessage,
  { statusCode: status }: ServerResponse,
  { requestId, startedAt, route }: Observed & { readonly route: string },
): void {
  const ms = performance.now() - startedAt;
  metrics.countRequest(route, method, status, ms / 1_000);
  if (log.isLevelEnabled('debug')) log.debug({ requestId, method, route, status, ms: Math.round(ms) }, 'request');
}

/** As {@link record}, when the request is over; `route` is asked then. */
export function recordWhenOver(
  observers: Observers,
  request: IncomingMessage,
  response: ServerResponse,
  { route, ...observed }: Observed & { readonly route: () => string },
): void {
  response.on('close', () => record(observers, request, response, { ...observed, route: route() }));
}
