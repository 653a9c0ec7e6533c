import { isAttuneError, OutcomeUnknownError, UnavailableError } from '../core/errors.ts';
import type { AbortLink } from './abort-link.ts';
import { describeNetworkFailure } from './network-failure.ts';
import { refusalOf } from './refusal.ts';
import type { Incoming, Outgoing } from './transport.ts';

/** Why a server did not do what it was asked. */
export interface Failure {
  /** What the caller is told: an AttuneError, or the reason its signal aborted with. */
  readonly error: Error;
  /** True if this server was not reached, and the request can be sent to another one: a read, or a write that never left. */
  readonly mayAskAnother: boolean;
  /** True if the connection broke: perhaps one kept from before, which the server had given up (RFC 9112, 9.3.1). */
  readonly isBroken?: boolean;
}

export const isFailure = (outcome: object): outcome is Failure => 'mayAskAnother' in outcome;

const final = (error: Error): Failure => ({ error, mayAskAnother: false });

/** What `fetch`, or reading its body, threw. */
export function failureOf(thrown: unknown, base: string, request: Outgoing, link: AbortLink): Failure {
  const isWrite = request.method !== 'GET';
  const details = { url: base };
  if (link.signal.aborted && !link.expired) {
    if (!isWrite) return final(link.signal.reason as Error);
    return final(
      new OutcomeUnknownError(`${request.method} to ${base} was aborted after sending; it may have been applied`, {
        cause: thrown,
        details,
      }),
    );
  }
  const { reason, unsent } = link.expired
    ? { reason: `no answer within ${request.timeoutMs} ms`, unsent: false }
    : describeNetworkFailure(thrown);
  if (isWrite && !unsent) {
    const message = `sent to ${base}, but no answer came back (${reason}); it may have been applied: read the key before trying again`;
    return final(new OutcomeUnknownError(message, { cause: thrown, details }));
  }
  const error = new UnavailableError(`cannot reach ${base}: ${reason}`, { cause: thrown, details });
  return { error, mayAskAnother: true, isBroken: !unsent && !link.expired };
}

/** What an answer other than 2xx means. */
export function refusedOf(answer: Incoming, request: Outgoing, now: number): Failure {
  const error = refusalOf(answer, now);
  // A code we do not know may be a gateway's.
  const isOfProxy = answer.status >= 500 && ('url' in error.details || 'serverCode' in error.details);
  if (!isOfProxy) return final(error);
  // It may have passed the write on before it gave up.
  if (request.method !== 'GET') {
    return final(new OutcomeUnknownError(`${error.message}; the write may have been applied`, { details: error.details }));
  }
  return { error, mayAskAnother: isAttuneError(error, 'UNAVAILABLE') };
}
