import { AttuneError, ERROR_CODES, type ErrorCode } from '../core/errors.ts';

const CODES: ReadonlySet<string> = new Set(ERROR_CODES);

/** For a code this client does not know yet: the nearest one with the same consequences. Never NOT_FOUND, which means absent. */
const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'ROUTE_NOT_FOUND',
  409: 'LOCKED',
  410: 'CURSOR_GONE',
  412: 'CONFLICT',
  413: 'VALUE_TOO_LARGE',
  429: 'RATE_LIMITED',
  503: 'UNAVAILABLE',
  504: 'OUTCOME_UNKNOWN',
};

/**
 * The error in a problem document (RFC 9457): `code`, `message` = detail, and in `details` the status, `retryAfterMs`, the revision it was
 * answered at and every other member (`requestId`, `errors`, `current`, ...). Undefined if `body` is no such document.
 */
export function parseProblem(body: unknown, status: number, headers: Headers, now: number): AttuneError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || typeof body.code !== 'string') return undefined;
  const { type: _type, title, code, detail, ...rest } = body as Readonly<Record<string, unknown>> & { readonly code: string };
  const known = CODES.has(code);
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'), now);
  const revision = headers.get('attune-revision');
  const details = {
    ...(revision === null ? {} : { revision: Number(revision) }),
    ...rest,
    status,
    ...(known ? {} : { serverCode: code }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  const message = typeof detail === 'string' ? detail : typeof title === 'string' ? title : `the server answered ${status} ${code}`;
  const mapped = known ? (code as ErrorCode) : (CODE_OF_STATUS[status] ?? (status < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL'));
  return new AttuneError(mapped, message, { details });
}

/** RFC 9110, 10.2.3: seconds or a date. */
function parseRetryAfter(text: string | null, now: number): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
