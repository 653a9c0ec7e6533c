import { STATUS_CODES } from 'node:http';
import type { AttuneError, ErrorCode } from '../../core/errors.ts';

/** HTTP status of each code that can reach the wire, and what it tells a person. The one place where codes meet HTTP. */
export const PROBLEMS: {
  readonly [C in Exclude<ErrorCode, 'COMPACTED' | 'PROTOCOL' | 'CLOSED'>]: {
    readonly status: number;
    readonly meaning: string;
    readonly advice: string;
  };
} = {
  INVALID_KEY: {
    status: 400,
    meaning: 'The key breaks the grammar of keys.',
    advice: 'Read the detail: it names the rule. Keys are 1 to 512 bytes of UTF-8, segments joined by "/".',
  },
  INVALID_ARGUMENT: {
    status: 400,
    meaning: 'A parameter or header is unknown, doubled, malformed or contradicts another.',
    advice: 'Correct the parameter that the detail names.',
  },
  UNAUTHENTICATED: { status: 401, meaning: 'Credentials are missing or not valid.', advice: 'Send a valid token.' },
  PERMISSION_DENIED: {
    status: 403,
    meaning: 'The request is understood and refused, for example a write that a web page of another origin sent.',
    advice: 'Send it from a tool or page that is allowed to, or have the origin allowed with --cors-origins.',
  },
  NOT_FOUND: {
    status: 404,
    meaning: 'There is no such key.',
    advice: 'Create it with PUT, or watch it: a key that does not exist yet can be watched.',
  },
  ROUTE_NOT_FOUND: { status: 404, meaning: 'There is no such path in this API.', advice: 'See GET / for the paths there are.' },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: 'The path exists, this method does not.',
    advice: 'Use one of the methods in the Allow header.',
  },
  NOT_ACCEPTABLE: {
    status: 406,
    meaning: 'The answer is not to be had in the form asked for.',
    advice: 'Follow the detail: event streams are at /api/v1/watch.',
  },
  LOCKED: { status: 409, meaning: 'The key is locked.', advice: 'Wait for the lock to be released, or ask its owner.' },
  CURSOR_GONE: {
    status: 410,
    meaning: 'The position cannot be resumed from: too old (compacted), of another history (epoch), or ahead of the store.',
    advice: 'Read the state again and go on from the cursor in this answer.',
  },
  CONFLICT: {
    status: 412,
    meaning: 'A condition of the write does not hold. Nothing was changed.',
    advice: 'Read the item again, decide again, send the new version.',
  },
  VALUE_TOO_LARGE: {
    status: 413,
    meaning: 'The value is larger than the store takes. Nothing was changed.',
    advice: 'Split the value; limits are in GET /api/v1/status.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: 'The body is of a type or encoding that cannot be stored.',
    advice: 'Send application/json or a text type in UTF-8.',
  },
  HOST_NOT_ALLOWED: {
    status: 421,
    meaning: 'The Host header names a host this service does not answer for (a defence against DNS rebinding).',
    advice: 'Use localhost or 127.0.0.1, or start the service with --allowed-hosts.',
  },
  INVALID_BODY: { status: 422, meaning: 'The body does not parse or does not fit. Nothing was changed.', advice: 'See errors for where.' },
  SCHEMA_VIOLATION: {
    status: 422,
    meaning: 'The value does not fit the schema of its key. Nothing was changed.',
    advice: 'See errors for where.',
  },
  PRECONDITION_REQUIRED: {
    status: 428,
    meaning: 'Writes to this key must say which version they change.',
    advice: 'Send If-Match or ifVersion.',
  },
  RATE_LIMITED: { status: 429, meaning: 'Too many requests.', advice: 'Wait as long as Retry-After says.' },
  INTERNAL: { status: 500, meaning: 'A fault of the service.', advice: 'Look for the requestId in the log and report it.' },
  NOT_READY: {
    status: 503,
    meaning: 'This node has not loaded the configuration yet, or is behind the revision asked for.',
    advice: 'Try again after Retry-After, or another node.',
  },
  UNAVAILABLE: {
    status: 503,
    meaning: 'The store cannot be reached or refuses. A write was certainly not applied.',
    advice: 'Try again after Retry-After.',
  },
  OUTCOME_UNKNOWN: {
    status: 504,
    meaning: 'A write was sent to the store and no answer came: it may have been applied.',
    advice: 'Read the key before you try again.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    meaning: 'Not done in time. With "committed": true the write stands, only this node does not show it yet.',
    advice: 'Read the key; with "committed" do not write again.',
  },
};

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemDocument {
  readonly status: number;
  readonly code: ProblemCode;
  /** JSON text of one object (RFC 9457). */
  readonly text: string;
}

/** The problem document of `error`. Whatever is not an error of Attune's own is told as INTERNAL, without its message. */
export function problemOf(error: AttuneError | undefined, requestId: string): ProblemDocument {
  const code = error && isProblemCode(error.code) ? error.code : 'INTERNAL';
  const { status, meaning } = PROBLEMS[code];
  const detail = code === 'INTERNAL' || !error ? meaning : error.message;
  const details = code === 'INTERNAL' ? {} : error?.details;
  const body = { type: `/docs/errors#${code}`, title: STATUS_CODES[status] ?? code, status, code, detail, requestId, ...details };
  return { status, code, text: JSON.stringify(body) };
}

function isProblemCode(code: ErrorCode): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}
