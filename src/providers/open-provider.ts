import { InvalidArgumentError, type ConfigProvider } from '../core/provider.ts';
import { EmbeddedProvider } from './embedded/embedded-provider.ts';
import { MemoryProvider } from './memory/memory-provider.ts';

/** A provider that is made but not yet open, and where in it the configuration lies. */
export interface ProviderAtUrl {
  readonly provider: ConfigProvider;
  /** Without slashes around it. */
  readonly namespace: string;
  /** For people, once it is open: `embedded store ./data (new)`. */
  readonly describe: () => string;
}

export interface OpenProviderOptions {
  /** Folder of a bare `embedded`; undefined if none was given. */
  readonly dataDir?: string | undefined;
}

const DEFAULT_NAMESPACE = 'app/config';
const DEFAULT_DATA_DIR = './data';

/** One example of each scheme there is. */
const KNOWN = ['memory:', 'embedded:./data'];

/**
 * The provider that `url` names: `memory:`, `embedded` or `embedded:PATH`. Nothing is opened or created yet.
 * @throws {InvalidArgumentError} an unknown scheme, something after `memory:`, a folder named twice or like a host.
 */
export function openProvider(url: string, options: OpenProviderOptions = {}): ProviderAtUrl {
  const match = /^([a-z]+)(?::(.*))?$/s.exec(url);
  const [scheme, rest = ''] = [match?.[1] ?? '', match?.[2]];
  switch (scheme) {
    case 'memory':
      return openMemory(rest, options);
    case 'embedded':
      return openEmbedded(rest, options);
    default:
      throw new InvalidArgumentError(`provider '${withoutPassword(url)}' is of no known kind; known are ${KNOWN.join(' and ')}`);
  }
}

function openMemory(rest: string, { dataDir }: OpenProviderOptions): ProviderAtUrl {
  if (rest !== '') {
    throw new InvalidArgumentError(`provider 'memory:${rest}': memory: takes nothing after the colon; its content ends with the process`);
  }
  if (dataDir !== undefined) {
    throw new InvalidArgumentError(`provider 'memory:' keeps nothing on disk, yet --data-dir ${dataDir} is given; leave one out`);
  }
  return { provider: new MemoryProvider(), namespace: DEFAULT_NAMESPACE, describe: () => 'memory store, gone when the process ends' };
}

function openEmbedded(rest: string, { dataDir }: OpenProviderOptions): ProviderAtUrl {
  if (rest.startsWith('//')) {
    // Read as a path it would be one below the root of the file system.
    const folder = rest.replace(/^\/+/, '');
    throw new InvalidArgumentError(`provider 'embedded:${rest}' looks like a host; write embedded:./${folder} or embedded:/${folder}`);
  }
  if (rest !== '' && dataDir !== undefined) {
    throw new InvalidArgumentError(`provider 'embedded:${rest}' names its folder, and --data-dir ${dataDir} another one; leave one out`);
  }
  const directory = rest === '' ? (dataDir ?? DEFAULT_DATA_DIR) : rest;
  const provider = new EmbeddedProvider(directory);
  return { provider, namespace: DEFAULT_NAMESPACE, describe: () => `embedded store ${directory}${provider.isNew ? ' (new)' : ''}` };
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//…@');
}
