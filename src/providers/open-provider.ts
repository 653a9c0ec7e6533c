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

export const DEFAULT_NAMESPACE = 'app/config';
export const DEFAULT_DATA_DIR = './data';

/** One example of each scheme there is. */
const KNOWN = ['memory:', 'embedded:./data'];

/**
 * The provider that `url` names: `memory:`, `embedded` or `embedded:PATH`.
 * @throws {InvalidArgumentError} an unknown scheme, something after `memory:`, a folder named twice.
 */
export function openProvider(url: string, options: OpenProviderOptions = {}): ProviderAtUrl {
  const match = /^([a-z]+)(?::(.*))?$/s.exec(url);
  const [scheme, rest = ''] = [match?.[1] ?? '', match?.[2]];
  switch (scheme) {
    case 'memory':
      if (rest !== '')
        throw new InvalidArgumentError(`provider '${url}': memory: takes nothing after the colon; its content ends with the process`);
      if (options.dataDir !== undefined)
        throw new InvalidArgumentError(
          `provider '${url}' keeps nothing on disk, yet --data-dir ${options.dataDir} is given; leave one out`,
        );
      return { provider: new MemoryProvider(), namespace: DEFAULT_NAMESPACE, describe: () => 'memory store, gone when the process ends' };
    case 'embedded': {
      if (rest !== '' && options.dataDir !== undefined) {
        throw new InvalidArgumentError(`provider '${url}' names its folder, and --data-dir ${options.dataDir} another one; leave one out`);
      }
      const directory = rest === '' ? (options.dataDir ?? DEFAULT_DATA_DIR) : rest;
      const provider = new EmbeddedProvider(directory);
      return { provider, namespace: DEFAULT_NAMESPACE, describe: () => `embedded store ${directory}${provider.isNew ? ' (new)' : ''}` };
    }
    default:
      throw new InvalidArgumentError(`provider '${url}' is of no known kind; known are ${KNOWN.join(' and ')}`);
  }
}
