import {
  ConflictError,
  InvalidArgumentError,
  isAttuneError,
  OutcomeUnknownError,
  PermissionDeniedError,
  ProtocolError,
  UnauthenticatedError,
  UnavailableError,
  ValueTooLargeError,
} from '../../core/provider.ts';

/** An answer of Consul that is not a success. */
export interface Refusal {
  readonly status: number;
  /** What Consul says, in one line. */
  readonly text: string;
  readonly retryAfterMs: number | undefined;
  /** Operations of the transaction that failed, by their place in it. */
  readonly failed: readonly { readonly index: number; readonly what: string }[];
}

/** Reads what a refused request was answered with: a text, or for a transaction JSON that names the operations. */
export function readRefusal(status: number, headers: Readonly<Record<string, unknown>>, answer: string): Refusal {
  const body = parseJson(answer);
  const errors = isRecord(body) && Array.isArray(body['Errors']) ? body['Errors'].filter(isRecord) : [];
  const failed = errors.map((error) => ({ index: Number(error['OpIndex']), what: String(error['What']) }));
  const text = failed.length > 0 ? failed.map(({ what }) => what).join('; ') : answer;
  const seconds = Number(headers['retry-after']);
  const retryAfterMs = headers['retry-after'] !== undefined && Number.isFinite(seconds) ? Math.min(seconds, 60) * 1_000 : undefined;
  return { status, text: text.trim().slice(0, 500), retryAfterMs, failed };
}

/**
 * Answers after which a write was certainly not applied: refused before it was proposed. "No cluster leader" is told only by a server that
 * could forward the write to nobody (agent/consul/rpc.go, canRetry: "no state could have been changed").
 */
const NOT_APPLIED =
  /^[^"]*(?:No cluster leader|rate limit|too many (?:requests|connections)|Permission denied|ACL not found|ACL support disabled)/i;
// Before the first quote: what stands in quotes is a key, and may say anything.
const DENIED = /^[^"]*Permission denied/i;
const NO_SUCH_TOKEN = /^[^"]*(?:ACL not found|ACL support disabled|token does not exist)/i;

/** True if the token lacks a right for this request, or for an operation of it. */
export function isDenied(refusal: Refusal): boolean {
  return refusal.status === 403 || says(refusal, DENIED);
}

/** What a refusal means to the contract. `isWrite`: it was a commit. */
export function refusalError(refusal: Refusal, host: string, isWrite: boolean): Error {
  const { status, text, retryAfterMs } = refusal;
  const say = `Consul at ${host}: ${status} ${text}`;
  const details = { status, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  if (says(refusal, NO_SUCH_TOKEN) || status === 401) {
    return new UnauthenticatedError(`${say}; check the ACL token`, { details });
  }
  if (isDenied(refusal)) {
    return new PermissionDeniedError(`${say}; the token needs a policy that may read and write the namespace (docs/consul.md)`, {
      details,
    });
  }
  if (status === 409) return new ConflictError(say, { details });
  if (status === 413) return new ValueTooLargeError(`${say}; the agent's limits are lower than Consul's defaults`, { details });
  if (status === 400) return new InvalidArgumentError(say, { details });
  if (status >= 300 && status < 500 && status !== 429 && status !== 408) {
    return isWrite ? new OutcomeUnknownError(say, { details }) : new ProtocolError(`${say}; is this a Consul agent?`, { details });
  }
  if (isWrite && status !== 429 && !says(refusal, NOT_APPLIED)) {
    return new OutcomeUnknownError(`${say} (the write may have been applied)`, { details });
  }
  return new UnavailableError(`${say}; try again`, { details });
}

/** What a missing answer means. `wasSent`: bytes of the request may have reached the agent. */
export function failureError(
  error: unknown,
  host: string,
  { isWrite, wasSent }: { readonly isWrite: boolean; readonly wasSent: boolean },
): Error {
  if (isAttuneError(error)) return error;
  const reason = error instanceof Error ? error.message || error.name : String(error);
  const say = `Consul at ${host} did not answer: ${reason}`;
  if (isWrite && wasSent) return new OutcomeUnknownError(`${say} (the write may have been applied)`, { cause: error });
  return new UnavailableError(`${say}; is the agent running there?`, { cause: error });
}

/** What the token may not see, though it is there, or may be. */
export function hiddenError(key: string, cause: unknown): UnavailableError {
  const say = `Consul hides the key '${key}' from this token (its ACL policy was narrowed?)`;
  return new UnavailableError(`${say}: what is known is kept until the token may read the namespace again`, {
    cause,
    details: { reason: 'visibility', key },
  });
}

function says({ failed, text }: Refusal, pattern: RegExp): boolean {
  return failed.length > 0 ? failed.some(({ what }) => pattern.test(what)) : pattern.test(text);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
