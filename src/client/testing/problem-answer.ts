import { isAttuneError, type AttuneError, type ErrorCode } from '../../core/errors.ts';

/** The HTTP status of each code that a server can answer. */
export const STATUS_OF_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  INVALID_KEY: 400,
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ROUTE_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  LOCKED: 409,
  CURSOR_GONE: 410,
  CONFLICT: 412,
  VALUE_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  HOST_NOT_ALLOWED: 421,
  INVALID_BODY: 422,
  SCHEMA_VIOLATION: 422,
  PRECONDITION_REQUIRED: 428,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  NOT_READY: 503,
  UNAVAILABLE: 503,
  OUTCOME_UNKNOWN: 504,
  DEADLINE_EXCEEDED: 504,
};

/** True for an error that a server would answer; anything else is a broken network. */
export function isAnswerable(error: unknown): error is AttuneError {
  return isAttuneError(error) && STATUS_OF_CODE[error.code] !== undefined;
}

/** The problem document (RFC 9457) of `error`. */
export function problemAnswer(error: AttuneError, headers: Readonly<Record<string, string>>): Response {
  const { code, message, details } = error;
  const status = STATUS_OF_CODE[code] ?? 500;
  const body = { type: `/docs/errors#${code}`, title: code, status, code, detail: message, requestId: 'test', ...details };
  const retry: Readonly<Record<string, string>> = status === 503 || status === 429 ? { 'retry-after': '1' } : {};
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...retry, 'content-type': 'application/problem+json' } });
}
