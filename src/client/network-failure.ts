/** Raised by the runtime before a connection stood: nothing was sent. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** What is known about a request that `fetch` gave up. */
export interface NetworkFailure {
  /** For people: `connection refused`, `other side closed`. */
  readonly reason: string;
  /** True if the request certainly never left. A browser never says so. */
  readonly unsent: boolean;
}

/** Reads the cause that `fetch` hides behind "fetch failed". */
export function describeNetworkFailure(error: unknown): NetworkFailure {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = textMember(cause, 'code');
  const message = textMember(cause, 'message');
  // Ports that the fetch standard blocks (6000, 6666, ...) have no code.
  if (message === 'bad port') return { reason: 'fetch refuses to use this port', unsent: true };
  const unsent = code !== undefined && (BEFORE_SENDING.has(code) || (code === 'ETIMEDOUT' && textMember(cause, 'syscall') === 'connect'));
  if (code === 'ECONNREFUSED') return { reason: 'connection refused', unsent };
  return { reason: message === undefined || message === '' ? (code ?? 'unknown network failure') : message, unsent };
}

function textMember(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const member = (value as Readonly<Record<string, unknown>>)[name];
  return typeof member === 'string' ? member : undefined;
}
