import { isIP, isIPv6 } from 'node:net';
import { distance } from 'fastest-levenshtein';
import { keyProblem, quoteForMessage } from '../core/key.ts';
import { maskUrl } from '../core/mask-url.ts';
import { InvalidArgumentError } from '../core/provider.ts';

/** A store that runs elsewhere, as its URL names it. */
export interface StoreUrl {
  readonly kind: 'etcd' | 'consul';
  readonly isEncrypted: boolean;
  /** `host:port`, an IPv6 address in brackets. At least one, each once. */
  readonly hosts: readonly string[];
  /** Literally what follows the first slash: `app/config`, or `/app/config` where the keys themselves begin with a slash. */
  readonly namespace: string;
  readonly username?: string;
  readonly password?: string;
}

export const DEFAULT_NAMESPACE = 'app/config';

/** Every scheme, with an example. */
const PROVIDER_EXAMPLES = Object.freeze({
  memory: 'memory:',
  embedded: 'embedded:./data',
  etcd: 'etcd://127.0.0.1:2379/app/config',
  etcds: 'etcds://etcd.example:2379/app/config',
  consul: 'consul://127.0.0.1:8500/app/config',
  consuls: 'consuls://consul.example:8501/app/config',
});

const SCHEMES = {
  etcd: { kind: 'etcd', isEncrypted: false },
  etcds: { kind: 'etcd', isEncrypted: true },
  consul: { kind: 'consul', isEncrypted: false },
  consuls: { kind: 'consul', isEncrypted: true },
} as const;
type StoreScheme = keyof typeof SCHEMES;

const DEFAULT_PORTS = { etcd: 2379, consul: 8500 } as const;

/** What people write for another scheme. */
const MISNOMERS: Readonly<Record<string, keyof typeof PROVIDER_EXAMPLES>> = {
  http: 'etcd',
  https: 'etcds',
  grpc: 'etcd',
  etcd3: 'etcd',
  tls: 'etcds',
  file: 'embedded',
  sqlite: 'embedded',
  mem: 'memory',
};

// A name as DNS and container networks have it.
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?\.?$/;

/** True if `scheme` is that of a store that runs elsewhere. */
export function isStoreScheme(scheme: string): scheme is StoreScheme {
  return Object.hasOwn(SCHEMES, scheme);
}

/**
 * Parses `etcd://host:2379[,host:2379]/app/config`, `etcds://`, `consul://` or `consuls://`. User and password may stand before the hosts,
 * percent-encoded. Pure: nothing is looked up.
 * @throws {InvalidArgumentError} saying which part is wrong and how to write it; never with a password.
 */
export function parseStoreUrl(url: string): StoreUrl {
  const match = /^([a-z]+):\/\/([^/]*)(?:\/(.*))?$/s.exec(url);
  const scheme = match?.[1] ?? '';
  const refuse = (problem: string): InvalidArgumentError => new InvalidArgumentError(`provider ${showUrl(url)}: ${problem}`);
  if (!match || !isStoreScheme(scheme)) throw refuse(`write it as ${exampleOf(url)}`);
  const { kind, isEncrypted } = SCHEMES[scheme];
  const authority = match[2] ?? '';
  if (/[?#]/.test(url)) {
    throw refuse(
      'a provider URL has no query and no fragment; credentials and certificates are settings (--store-password, --store-ca-file, ...), and a "?" or "#" in a password is written as %3F or %23',
    );
  }
  const at = authority.lastIndexOf('@');
  const hosts = parseHosts(authority.slice(at + 1), kind, url, refuse);
  return {
    kind,
    isEncrypted,
    hosts,
    namespace: parseNamespace(match[3], `${scheme}://${hosts.join(',')}`, refuse),
    ...(at >= 0 && parseUser(authority.slice(0, at), refuse)),
  };
}

/** The provider URL of the same store with another namespace, without user and password. */
export function formatStoreUrl({ kind, isEncrypted, hosts }: StoreUrl, namespace: string): string {
  return `${kind}${isEncrypted ? 's' : ''}://${hosts.join(',')}/${namespace}`;
}

/** The error for a URL of no known kind, with the scheme that was likely meant. */
export function unknownScheme(url: string): InvalidArgumentError {
  const scheme = /^([^:]*)/.exec(url)?.[1] ?? '';
  const nearest = nearestScheme(scheme, url);
  const hint = nearest === undefined ? '' : `; did you mean ${PROVIDER_EXAMPLES[nearest]}?`;
  return new InvalidArgumentError(
    `provider ${showUrl(url)} is of no known kind; known are ${Object.values(PROVIDER_EXAMPLES).join(', ')}${hint}`,
  );
}

type Refuse = (problem: string) => InvalidArgumentError;

function parseHosts(text: string, kind: StoreUrl['kind'], url: string, refuse: Refuse): readonly string[] {
  const hosts: string[] = [];
  for (const part of text.split(',')) {
    const host = parseHost(part, DEFAULT_PORTS[kind], url, refuse);
    if (hosts.includes(host)) throw refuse(`the host ${host} is named twice`);
    hosts.push(host);
  }
  return hosts;
}

function parseHost(text: string, defaultPort: number, url: string, refuse: Refuse): string {
  if (text === '') throw refuse(`a host is missing; write it as ${exampleOf(url)}`);
  // A piece of a password may stand here.
  const shown = url.includes('@') ? 'a host' : `the host ${quoteForMessage(text)}`;
  const hint = url.includes('@') ? '; in user and password "/" is written as %2F and "@" as %40' : '';
  const match = /^(\[[^\]]*\]|[^:]*)(?::([^:]*))?$/.exec(text);
  if (!match) {
    const isAddress = isIPv6(text) || isIPv6(text.replace(/:\d+$/, ''));
    throw refuse(isAddress ? `an IPv6 address stands in brackets: [::1]:${defaultPort}` : `${shown} is not of the form host:port${hint}`);
  }
  const [, name = '', port = String(defaultPort)] = match;
  const isBracketed = name.startsWith('[');
  const isFine = isBracketed ? isIPv6(name.slice(1, -1)) && !name.includes('%') : isIP(name) === 4 || HOST_NAME.test(name);
  if (!isFine) throw refuse(`${shown} is not a host name or address${hint}`);
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535)
    throw refuse(`${shown} has a port that is not a number from 1 to 65535${hint}`);
  return `${name.toLowerCase()}:${port}`;
}

function parseNamespace(path: string | undefined, base: string, refuse: Refuse): string {
  if (path === undefined) return DEFAULT_NAMESPACE;
  const [slash, rest] = path.startsWith('/') ? ['/', path.slice(1)] : ['', path];
  if (rest === '') {
    throw refuse(
      `this names the whole store, which may hold what is not configuration; write ${base}/${slash}app/config, or ${base} for ${DEFAULT_NAMESPACE}`,
    );
  }
  if (rest.endsWith('/')) throw refuse(`a namespace does not end in a slash; write ${base}/${slash}${rest.replace(/\/+$/, '')}`);
  const problem = keyProblem(rest);
  if (problem !== undefined) {
    throw refuse(`the namespace ${quoteForMessage(path)} follows the grammar of keys, save for one slash at its beginning: ${problem}`);
  }
  return path;
}

function parseUser(text: string, refuse: Refuse): Pick<StoreUrl, 'username' | 'password'> {
  const colon = text.indexOf(':');
  const parts = colon < 0 ? [text] : [text.slice(0, colon), text.slice(colon + 1)];
  const [username = '', password = ''] = parts.map((part) => decodePart(part, refuse));
  if (username === '') throw refuse('the user is missing before the password');
  if (username.includes(',')) throw refuse('user and password stand once, before the first host');
  return { username, ...(password !== '' && { password }) };
}

function decodePart(text: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse('user and password are percent-encoded, and a "%" that stands for itself is written as %25');
  }
}

const showUrl = (url: string): string => quoteForMessage(maskUrl(url));

/** How the URL might have been meant. */
function exampleOf(url: string): string {
  const scheme = /^[a-z]*/.exec(url)?.[0] ?? '';
  return PROVIDER_EXAMPLES[isStoreScheme(scheme) ? scheme : 'etcd'];
}

function nearestScheme(scheme: string, url: string): keyof typeof PROVIDER_EXAMPLES | undefined {
  const word = scheme.toLowerCase();
  const known = Object.keys(PROVIDER_EXAMPLES) as (keyof typeof PROVIDER_EXAMPLES)[];
  const alias = Object.hasOwn(MISNOMERS, word) ? MISNOMERS[word] : undefined;
  if (alias !== undefined && (word === 'http' || word === 'https') && /:850[01]\b/.test(url))
    return word === 'https' ? 'consuls' : 'consul';
  if (alias !== undefined) return alias;
  const [nearest] = known.map((name) => ({ name, off: distance(word, name) })).sort((a, b) => a.off - b.off);
  return nearest && nearest.off <= 2 && word.length > 2 ? nearest.name : undefined;
}
