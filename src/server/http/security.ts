import type { IncomingMessage } from 'node:http';
import { AttuneError } from '../../core/errors.ts';
import { quoteForMessage } from '../../core/key.ts';

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface BrowserRules {
  /** Host names answered for beside loopback, without port. */
  readonly allowedHosts: readonly string[];
  /** Exact origins (`https://console.example`) whose pages may read and write. */
  readonly corsOrigins: readonly string[];
}

/** The host name of a `Host` header, lower case, without port. */
export function hostNameOf(header: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/.exec(header);
  return match?.[1]?.toLowerCase().replace(/\.$/, '');
}

/** The host that `request` names; undefined if it names none, several, or what is no host. */
function hostOf({ headers, rawHeaders }: IncomingMessage): string | undefined {
  // Of two, a proxy may have looked at the other one.
  return headers.host !== undefined && standsOnce(rawHeaders, 'host') ? hostNameOf(headers.host) : undefined;
}

/** True if `request` names a host that this service answers for. */
export function isForOwnHost(request: IncomingMessage, { allowedHosts }: BrowserRules): boolean {
  const host = hostOf(request);
  return host !== undefined && (LOOPBACK_HOSTS.has(host) || allowedHosts.includes(host));
}

/** `headersDistinct` tells the same, and takes a copy of all headers for it. */
function standsOnce(rawHeaders: readonly string[], name: string): boolean {
  let times = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = rawHeaders[index];
    if (header?.length === name.length && header.toLowerCase() === name) times++;
  }
  return times === 1;
}

/**
 * Refuses what a web page might send without its user's knowledge. Without authentication the loopback interface is all that guards the
 * service, and a browser stands behind it: DNS rebinding is stopped by the Host header, cross-site writes by Origin and Sec-Fetch-Site.
 * @throws {AttuneError} HOST_NOT_ALLOWED, PERMISSION_DENIED
 */
export function requireTrustedBrowser(request: IncomingMessage, rules: BrowserRules): void {
  const header = request.headers.host ?? '';
  if (!isForOwnHost(request, rules)) {
    throw new AttuneError(
      'HOST_NOT_ALLOWED',
      `this service does not answer for the host ${quoteForMessage(header)}; use localhost, or start it with --allowed-hosts ${hostOf(request) ?? 'NAME'}`,
    );
  }
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return;
  const { origin } = request.headers;
  if (origin !== undefined && rules.corsOrigins.includes(origin)) return;
  const isForeign = origin !== undefined && origin !== `http://${header}` && origin !== `https://${header}`;
  if (isForeign || request.headers['sec-fetch-site'] === 'cross-site') {
    const from = origin === undefined ? 'another site' : `the origin ${quoteForMessage(origin)}`;
    throw new AttuneError('PERMISSION_DENIED', `pages of ${from} may not change anything here; allow the origin with --cors-origins`);
  }
}
