import { causeOf, reasonOf } from './transport.ts';

/** Raised by the runtime before a connection stood: nothing was sent. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** The same if it was in connecting: one that stands may end so too. */
const BEFORE_SENDING_IF_CONNECTING: ReadonlySet<string> = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);

/** What is known about a request that `fetch` gave up. */
export interface NetworkFailure {
  /** For people: `connection refused`, `other side closed`. */
  readonly reason: string;
  /** True if the request certainly never left. A browser never says so. */
  readonly unsent: boolean;
}

/** Reads the cause that `fetch` hides behind "fetch failed". */
export function describeNetworkFailure(error: unknown): NetworkFailure {
  const { code = '', message, syscall } = causeOf(error);
  // Ports that the fetch standard blocks (6000, 6666, ...) have no code.
  if (message === 'bad port') return { reason: 'fetch refuses to use this port', unsent: true };
  return { reason: reasonOf(error), unsent: BEFORE_SENDING.has(code) || (syscall === 'connect' && BEFORE_SENDING_IF_CONNECTING.has(code)) };
}
