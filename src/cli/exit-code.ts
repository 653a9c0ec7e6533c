import { isAttuneError, type ErrorCode } from '../core/errors.ts';

/** What the command line ends with; scripts rely on it. A signal ends it with 128 + its number. */
export const EXIT = Object.freeze({
  ok: 0,
  error: 1,
  usage: 2,
  conflict: 3,
  notFound: 4,
  denied: 5,
  unreachable: 6,
  refused: 7,
  different: 8,
  unknownOutcome: 9,
});

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const EXIT_OF: Readonly<Partial<Record<ErrorCode, ExitCode>>> = {
  CONFLICT: EXIT.conflict,
  LOCKED: EXIT.conflict,
  NOT_FOUND: EXIT.notFound,
  UNAUTHENTICATED: EXIT.denied,
  PERMISSION_DENIED: EXIT.denied,
  HOST_NOT_ALLOWED: EXIT.denied,
  UNAVAILABLE: EXIT.unreachable,
  NOT_READY: EXIT.unreachable,
  DEADLINE_EXCEEDED: EXIT.unreachable,
  RATE_LIMITED: EXIT.unreachable,
  INVALID_KEY: EXIT.refused,
  INVALID_ARGUMENT: EXIT.refused,
  INVALID_BODY: EXIT.refused,
  SCHEMA_VIOLATION: EXIT.refused,
  VALUE_TOO_LARGE: EXIT.refused,
  UNSUPPORTED_MEDIA_TYPE: EXIT.refused,
  PRECONDITION_REQUIRED: EXIT.refused,
  OUTCOME_UNKNOWN: EXIT.unknownOutcome,
};

/** The exit code of a failure: by its code, {@link EXIT}.error where there is none. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT.usage;
  return isAttuneError(error) ? (EXIT_OF[error.code] ?? EXIT.error) : EXIT.error;
}

/** The command line itself, or what it names, is wrong: nothing was asked of any server. */
export class UsageError extends Error {}

/** This machine refuses: a file that cannot be read or written, an editor that fails. */
export class LocalError extends Error {}
