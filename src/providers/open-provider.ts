import { quoteForMessage } from '../core/key.ts';
import { maskUrl } from '../core/mask-url.ts';
import { InvalidArgumentError, type ConfigProvider } from '../core/provider.ts';
import { readCertificates, type Certificates } from './certificate-files.ts';
import { DEFAULT_NAMESPACE, formatStoreUrl, isStoreScheme, parseStoreUrl, unknownScheme, type StoreUrl } from './store-url.ts';

/** A provider that is made but not yet open, and where in it the configuration lies. */
export interface ProviderAtUrl {
  readonly provider: ConfigProvider;
  /** Without a slash at its end. One at its beginning is part of the keys. */
  readonly namespace: string;
  /** `host:port` of a store that runs elsewhere and may be unreachable for a while; empty for one in this process. */
  readonly hosts: readonly string[];
  /** The namespace this one is easily confused with, and the URL that names it; undefined if there is none. */
  readonly twin: { readonly namespace: string; readonly url: string } | undefined;
  /** For people, once it is open: `embedded store ./data (new)`. */
  readonly describe: () => string;
}

export interface OpenProviderOptions {
  /** Folder of a bare `embedded`; undefined if none was given. */
  readonly dataDir?: string | undefined;
  /** etcd only; refused if the URL names another. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Consul only. */
  readonly token?: string | undefined;
  readonly datacenter?: string | undefined;
  /** Paths of PEM files, for `etcds://` and `consuls://`. Without `caFile` the system's authorities count. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

const DEFAULT_DATA_DIR = './data';

/** The settings by which options of a store that runs elsewhere are given. */
const FLAGS = {
  username: '--store-user',
  password: '--store-password',
  token: '--store-token',
  datacenter: '--store-datacenter',
  caFile: '--store-ca-file',
  certFile: '--store-cert-file',
  keyFile: '--store-key-file',
} as const;
type StoreOption = keyof typeof FLAGS;
const ALL_FLAGS = Object.keys(FLAGS) as readonly StoreOption[];

/**
 * The provider that `url` names: `memory:`, `embedded`, `embedded:PATH`, `etcd://HOST/NAMESPACE`, `etcds://`, `consul://` or `consuls://`.
 * Certificate files are read; nothing is opened or created yet. Of the providers only that one is loaded.
 * @throws {InvalidArgumentError} an unknown scheme, a part of the URL that is wrong, an option that does not fit it, a certificate that cannot be
 * read. No message holds a password or token.
 */
export async function openProvider(url: string, options: OpenProviderOptions = {}): Promise<ProviderAtUrl> {
  const match = /^([a-z]+)(?::(.*))?$/s.exec(url);
  const [scheme, rest = ''] = [match?.[1] ?? '', match?.[2]];
  if (isStoreScheme(scheme)) return openStore(url, options);
  switch (scheme) {
    case 'memory':
      return openMemory(rest, options);
    case 'embedded':
      return openEmbedded(rest, options);
    default:
      throw unknownScheme(url);
  }
}

async function openMemory(rest: string, options: OpenProviderOptions): Promise<ProviderAtUrl> {
  if (rest !== '') {
    throw new InvalidArgumentError(`provider 'memory:${rest}': memory: takes nothing after the colon; its content ends with the process`);
  }
  const { dataDir } = options;
  if (dataDir !== undefined) {
    throw new InvalidArgumentError(`provider 'memory:' keeps nothing on disk, yet --data-dir ${dataDir} is given; leave one out`);
  }
  refuse(options, ALL_FLAGS, 'provider memory: is in this process');
  const { MemoryProvider } = await import('./memory/memory-provider.ts');
  return here(new MemoryProvider(), () => 'memory store, gone when the process ends');
}

async function openEmbedded(rest: string, options: OpenProviderOptions): Promise<ProviderAtUrl> {
  const { dataDir } = options;
  if (rest.startsWith('//')) {
    // Read as a path it would be one below the root of the file system.
    const folder = rest.replace(/^\/+/, '');
    const shown = maskUrl(`embedded:${rest}`);
    const hint = rest.includes('@') ? 'its folder without user and password' : `embedded:./${folder} or embedded:/${folder}`;
    throw new InvalidArgumentError(`provider '${shown}' looks like a host; write ${hint}`);
  }
  if (rest !== '' && dataDir !== undefined) {
    throw new InvalidArgumentError(`provider 'embedded:${rest}' names its folder, and --data-dir ${dataDir} another one; leave one out`);
  }
  refuse(options, ALL_FLAGS, 'provider embedded is in this process');
  const directory = rest === '' ? (dataDir ?? DEFAULT_DATA_DIR) : rest;
  const { EmbeddedProvider } = await import('./embedded/embedded-provider.ts');
  const provider = new EmbeddedProvider(directory);
  return here(provider, () => `embedded store ${directory}${provider.isNew ? ' (new)' : ''}`);
}

function here(provider: ConfigProvider, describe: () => string): ProviderAtUrl {
  return { provider, namespace: DEFAULT_NAMESPACE, hosts: [], twin: undefined, describe };
}

async function openStore(url: string, options: OpenProviderOptions): Promise<ProviderAtUrl> {
  const store = parseStoreUrl(url);
  const { kind, hosts, namespace } = store;
  if (options.dataDir !== undefined) {
    throw new InvalidArgumentError(
      `provider '${maskUrl(url)}' keeps nothing on this machine, yet --data-dir ${options.dataDir} is given; leave one out`,
    );
  }
  const provider = await (kind === 'etcd' ? etcdAt(store, options) : consulAt(store, options));
  const twin = namespace.startsWith('/') ? namespace.slice(1) : `/${namespace}`;
  return {
    provider,
    namespace,
    hosts,
    // No key in Consul begins with a slash.
    twin: kind === 'etcd' ? { namespace: twin, url: formatStoreUrl(store, twin) } : undefined,
    describe: () => `${kind} ${hosts.join(',')} ${namespace}`,
  };
}

async function etcdAt(store: StoreUrl, options: OpenProviderOptions): Promise<ConfigProvider> {
  refuse(options, ['token', 'datacenter'], 'etcd has users instead');
  const { hosts, namespace } = store;
  const username = oneOf('user', store.username, options.username);
  const password = oneOf('password', store.password, options.password);
  if (username === undefined && password !== undefined) {
    throw new InvalidArgumentError('a password for etcd is given, and no user; give one with --store-user (ATTUNE_STORE_USER)');
  }
  if (username !== undefined && password === undefined) {
    throw new InvalidArgumentError(
      `the user '${username}' of etcd has no password; give it with ATTUNE_STORE_PASSWORD, or its file with ATTUNE_STORE_PASSWORD_FILE`,
    );
  }
  const tls = tlsOf(store, options);
  const { EtcdProvider } = await import('./etcd/etcd-provider.ts');
  return new EtcdProvider({
    hosts,
    namespace,
    ...(tls && { tls }),
    ...(username !== undefined && password !== undefined && { credentials: { username, password } }),
  });
}

async function consulAt(store: StoreUrl, options: OpenProviderOptions): Promise<ConfigProvider> {
  const { hosts, namespace } = store;
  if (store.username !== undefined) {
    throw new InvalidArgumentError(
      'Consul has no users and passwords; leave them out of the URL and give a token with ATTUNE_STORE_TOKEN, or its file with ATTUNE_STORE_TOKEN_FILE',
    );
  }
  refuse(options, ['username', 'password'], 'Consul has tokens instead (--store-token)');
  if (namespace.startsWith('/')) {
    throw new InvalidArgumentError(
      `keys in Consul do not begin with a slash; write ${formatStoreUrl(store, namespace.slice(1))} instead of ${formatStoreUrl(store, namespace)}`,
    );
  }
  // Consul takes no key by path that Go calls unprintable.
  const unprintable = /(?! )\p{Z}|\p{C}/u.exec(namespace)?.[0];
  if (unprintable !== undefined) {
    const code = unprintable.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0') ?? '';
    throw new InvalidArgumentError(
      `the namespace ${quoteForMessage(namespace)} holds U+${code}, which Consul takes in no URL; of blanks only the space is possible`,
    );
  }
  const { token, datacenter } = options;
  const tls = tlsOf(store, options);
  const { ConsulProvider } = await import('./consul/consul-provider.ts');
  return new ConsulProvider({
    hosts,
    namespace,
    ...(tls && { tls }),
    ...(token !== undefined && { token }),
    ...(datacenter !== undefined && { datacenter }),
  });
}

function refuse(options: OpenProviderOptions, names: readonly StoreOption[], why: string): void {
  for (const name of names) {
    if (options[name] !== undefined) throw new InvalidArgumentError(`${FLAGS[name]} is of no use here, because ${why}; leave it out`);
  }
}

function oneOf(what: string, ofUrl: string | undefined, given: string | undefined): string | undefined {
  if (ofUrl !== undefined && given !== undefined && ofUrl !== given) {
    throw new InvalidArgumentError(`the provider URL names one ${what} and --store-${what} another; leave one out`);
  }
  return ofUrl ?? given;
}

function tlsOf({ kind, isEncrypted }: StoreUrl, options: OpenProviderOptions): Certificates | undefined {
  if (isEncrypted) return readCertificates(options);
  refuse(options, ['caFile', 'certFile', 'keyFile'], `${kind}:// is not encrypted, write ${kind}s:// for TLS`);
  return undefined;
}
