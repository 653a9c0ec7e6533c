import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Metrics } from './metrics.ts';

export const REQUEST_ID = 'X-Request-Id';

/** The id that a request brings, if it is harmless in logs and headers, else a new one. */
export function requestIdOf(given: string | undefined): string {
  return given !== undefined && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
}

export interface Observed {
  readonly requestId: string;
  /** `performance.now()` when the request came. */
  readonly startedAt: number;
  /** The path's pattern, never what a user sent. Asked when the request is over. */
  readonly route: () => string;
}

/** Counts and logs a request when it is over. */
export function observe(
  { metrics, log }: { readonly metrics: Metrics; readonly log: Logger },
  request: IncomingMessage,
  response: ServerResponse,
  { requestId, startedAt, route }: Observed,
): void {
  response.on('close', () => {
    const ms = performance.now() - startedAt;
    const { method = '' } = request;
    metrics.countRequest(route(), method, response.statusCode, ms / 1_000);
    if (log.isLevelEnabled('debug')) {
      log.debug({ requestId, method, route: route(), status: response.statusCode, ms: Math.round(ms) }, 'request');
    }
  });
}
