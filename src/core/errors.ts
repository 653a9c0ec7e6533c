/** Codes are API: one is never renamed or re-used. `docs/errors.md` explains each and is checked by a test. */
export const ERROR_CODES = [
  'INVALID_KEY',
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'ROUTE_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'NOT_ACCEPTABLE',
  'LOCKED',
  'CURSOR_GONE',
  'CONFLICT',
  'VALUE_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'HOST_NOT_ALLOWED',
  'INVALID_BODY',
  'SCHEMA_VIOLATION',
  'PRECONDITION_REQUIRED',
  'RATE_LIMITED',
  'INTERNAL',
  'NOT_READY',
  'UNAVAILABLE',
  'OUTCOME_UNKNOWN',
  'DEADLINE_EXCEEDED',
  // Never on the wire: between a provider and the layers above it.
  'COMPACTED',
  'PROTOCOL',
  'CLOSED',
] as const;

/** What went wrong, for machines. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What travels with an error beside its message; shown in a problem document, so never a value or a token. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface ErrorOptionsWithDetails {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
}

const BRAND = Symbol.for('attune.error');

/** Codes after which the same call may be sent again as it is. A write that may have happened is never among them. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NOT_READY', 'UNAVAILABLE', 'RATE_LIMITED']);

/**
 * Any failure Attune speaks of: `code` for machines, `message` for people (what, with which value, what to do), `cause` for
 * debuggers. Recognise one with {@link isAttuneError}, never with `instanceof`: two copies of a package may be loaded.
 */
export class AttuneError extends Error {
  /** Never renamed or re-used. */
  readonly code: ErrorCode;
  /** What belongs to the code, such as `retryAfterMs`; empty if there is nothing. */
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: ErrorOptionsWithDetails = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** True if sending the same call again can help and cannot do harm. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

/** True if `error` is an Attune error (of `code`, if given), from whichever copy of the package. */
export function isAttuneError<C extends ErrorCode>(error: unknown, code?: C): error is AttuneError & { readonly code: C } {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || ('code' in error && error.code === code);
}

/** A check of the transaction did not hold. Certainly not applied. */
export class ConflictError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('CONFLICT', message, options);
  }
}

/** The store cannot be reached or refuses to serve. A write that ends so was certainly not applied. */
export class UnavailableError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('UNAVAILABLE', message, options);
  }
}

/** A write was sent and its reply is missing: it may have been applied, once. Never sent again blindly. */
export class OutcomeUnknownError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('OUTCOME_UNKNOWN', message, options);
  }
}

/** The history asked for is no longer kept. List, then watch from the list's revision. `oldest` is the oldest `after` served. */
export class CompactedError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('COMPACTED', message, options);
  }
}

/** The store wants credentials, or other ones. */
export class UnauthenticatedError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('UNAUTHENTICATED', message, options);
  }
}

/** The store knows who asks and refuses. */
export class PermissionDeniedError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('PERMISSION_DENIED', message, options);
  }
}

/** The peer broke its own protocol: a number out of range, a revision that goes backwards, a frame that does not parse. */
export class ProtocolError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('PROTOCOL', message, options);
  }
}

/** The caller's mistake: an argument no state of the store would make right. */
export class InvalidArgumentError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('INVALID_ARGUMENT', message, options);
  }
}

/** A value or a transaction is over the limits in `ProviderCapabilities`. Certainly not applied. */
export class ValueTooLargeError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('VALUE_TOO_LARGE', message, options);
  }
}

/** Not reached within the time given. `details.committed` tells whether a write stands all the same. */
export class DeadlineExceededError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('DEADLINE_EXCEEDED', message, options);
  }
}

/** The provider, service or client was closed; nothing can be asked of it any more. */
export class ClosedError extends AttuneError {
  constructor(message: string, options?: ErrorOptionsWithDetails) {
    super('CLOSED', message, options);
  }
}
