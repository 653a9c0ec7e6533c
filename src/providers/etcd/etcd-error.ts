import {
  CompactedError,
  InvalidArgumentError,
  isAttuneError,
  OutcomeUnknownError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  ValueTooLargeError,
} from '../../core/provider.ts';

/** A failure as gRPC tells it: `14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:2379`. */
export interface EtcdFailure {
  /** `UNAVAILABLE`, or empty if it is no failure of a call. */
  readonly status: string;
  readonly details: string;
}

export function readFailure(error: unknown): EtcdFailure {
  const message = error instanceof Error ? error.message : String(error);
  const match = /^\d+ ([A-Z_]+): (.*)$/s.exec(message);
  return { status: match?.[1] ?? '', details: (match?.[2] ?? message).replace(/\. Resolution note: $/, '') };
}

/**
 * Failures after which a request was certainly not sent, or was refused before it could take effect. Everything else may have happened:
 * "etcdserver: request timed out" and "leader changed" are told of proposals that are applied a moment later, "mvcc: database space
 * exceeded" also of a write that was applied and was the one too many (etcd's server/etcdserver/apply/quota.go), and "Received message
 * larger than max" of a reply.
 */
const CERTAINLY_NOT_APPLIED: readonly RegExp[] = [
  // Said by grpc-js, 1.14.
  /^No connection established/,
  /^Name resolution failed/,
  /^Deadline exceeded.*Waiting for LB pick/,
  /^Channel closed before call started/,
  /^Attempted to send message/,
  /the client was already closed|Channel has been shut down/,
  // Said by etcd, 3.5 and later, before it proposes a write, or by each member before it applies one.
  /^grpc: received message larger than max/,
  /^etcdserver: (?:too many requests|request is too large|too many operations|duplicate key|no leader)/,
  /^etcdserver: (?:permission denied|user name is empty|user name not found|authentication (?:failed|is not enabled))/,
  /^(?:etcdserver: |the token was refused: )(?:invalid auth token|revision of auth store is old)/,
];

/** True if another endpoint may be asked at once. */
export function wasNotSent({ status, details }: EtcdFailure): boolean {
  return (
    (status === 'UNAVAILABLE' && /^No connection established|^Name resolution failed/.test(details)) ||
    (status === 'DEADLINE_EXCEEDED' && details.includes('Waiting for LB pick'))
  );
}

/** True if the call is to be sent again with a new token: refused for its token it was not looked at. */
export function needsNewToken(error: unknown): boolean {
  return /invalid auth token|revision of auth store is old|user name is empty/.test(readFailure(error).details);
}

/** True if the endpoint is at fault, so that the next call had better go to another one. */
export function isEndpointFailure({ status, details }: EtcdFailure): boolean {
  if (/^etcdserver: (?:too many requests|mvcc)/.test(details)) return false;
  return ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'INTERNAL', 'UNKNOWN'].includes(status);
}

/** What a call's failure means to the contract. `isWrite`: it was a commit, which may have been applied all the same. */
export function toAttuneError(error: unknown, endpoint: string, isWrite: boolean): Error {
  if (isAttuneError(error)) return error;
  const { status, details } = readFailure(error);
  const say = `etcd at ${endpoint}: ${details}`;
  const options = { cause: error };
  if (isWrite && !CERTAINLY_NOT_APPLIED.some((pattern) => pattern.test(details))) {
    return new OutcomeUnknownError(`${say} (the write may have been applied)`, options);
  }
  if (details.includes('required revision has been compacted')) return new CompactedError(`${say}; list again`, options);
  if (details.includes('is a future revision')) return new InvalidArgumentError(say, options);
  if (details.includes('etcdserver: permission denied') || status === 'PERMISSION_DENIED') {
    return new PermissionDeniedError(`${say}; the user needs a role that may read and write the namespace`, options);
  }
  if (details.includes('user name is empty')) {
    return new UnauthenticatedError(`etcd at ${endpoint} wants a user and a password, and none is given`, options);
  }
  if (
    status === 'UNAUTHENTICATED' ||
    /authentication failed|invalid auth token|user name not found|authentication is not enabled/.test(details)
  ) {
    return new UnauthenticatedError(`${say}; check the user and the password`, options);
  }
  if (/request is too large|too many operations|message larger than max/.test(details)) return new ValueTooLargeError(say, options);
  // Users and roles are being changed faster than tokens are given.
  if (details.includes('revision of auth store is old')) return new UnavailableError(say, options);
  if (status === 'INVALID_ARGUMENT') return new InvalidArgumentError(say, options);
  return new UnavailableError(say, options);
}
