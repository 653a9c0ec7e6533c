import { InvalidArgumentError } from '../../core/errors.ts';
import { warnOnConsole, type ConfigClientOptions as CoreOptions } from '../client-options.ts';
import { ConfigClient as CoreClient } from '../config-client.ts';
import { Listeners, type StopFunction } from '../listeners.ts';
import type { StartOptions } from '../readiness.ts';
import type { ConfigSchema } from '../schema.ts';
import type { EncryptionKey } from './encryption-key.ts';
import { parseFilePath } from './file-path.ts';
import { OverridesFile } from './overrides-file.ts';
import { SnapshotFile } from './snapshot-file.ts';

/** Those of the core, and the files. */
export interface ConfigClientOptions<S extends ConfigSchema | undefined = undefined> extends CoreOptions<S> {
  /**
   * Keeps the last known state, for a start without a server. Written whole or not at all, for its owner only, at most once a second and at
   * `close`. With `encryptionKey` (32 bytes, or their base64 or hexadecimal text) it is encrypted. One client, one file.
   */
  readonly snapshotFile?: string | { readonly path: string; readonly encryptionKey?: EncryptionKey };
  /** A JSON object of values by key, which win over the servers' as long as they stand there. Watched; it need not exist. */
  readonly overridesFile?: string;
}

/** The client for Node: with files for the last known state and for an operator's overrides. */
export class ConfigClient<const S extends ConfigSchema | undefined = undefined> extends CoreClient<S> {
  readonly #errorListeners: Listeners<[error: unknown]>;

  /** Checks the options; no file is touched, and nothing sent, before `start`. @throws {InvalidArgumentError} */
  constructor(options: ConfigClientOptions<S>) {
    // Of all failures, the files' too: those that hear of the core's only would miss them.
    const errorListeners = new Listeners<[error: unknown]>(warnOnConsole);
    const onError = (error: unknown): void => {
      if (errorListeners.has('')) errorListeners.emit('', error);
      else warnOnConsole(error);
    };
    if (options.onError) errorListeners.add('', options.onError);
    super({ ...options, ...openFiles(options, onError), onError });
    this.#errorListeners = errorListeners;
  }

  /** Constructs, starts, and closes again if that fails. */
  static override async connect<const S extends ConfigSchema | undefined = undefined>(
    options: ConfigClientOptions<S>,
    start: StartOptions = {},
  ): Promise<ConfigClient<S>> {
    const client = new ConfigClient<S>(options);
    try {
      await client.start(start);
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  override onError(listener: (error: unknown) => unknown): StopFunction {
    // The core calls it too, while it is being constructed.
    return #errorListeners in this ? this.#errorListeners.add('', listener) : super.onError(listener);
  }
}

function openFiles<S extends ConfigSchema | undefined>(
  { snapshotFile, overridesFile, lastKnown, overrides, clock }: ConfigClientOptions<S>,
  onError: (error: unknown) => void,
): Pick<CoreOptions<S>, 'lastKnown' | 'overrides'> {
  if (snapshotFile !== undefined && lastKnown) throw new InvalidArgumentError('both snapshotFile and lastKnown are given; leave one out');
  if (overridesFile !== undefined && overrides) throw new InvalidArgumentError('both overridesFile and overrides are given; leave one out');
  const snapshot = typeof snapshotFile === 'string' ? { path: snapshotFile } : snapshotFile;
  const snapshotPath = snapshot && parseFilePath(snapshot.path, 'snapshotFile');
  const overridesPath = overridesFile === undefined ? undefined : parseFilePath(overridesFile, 'overridesFile');
  if (snapshotPath !== undefined && snapshotPath === overridesPath)
    throw new InvalidArgumentError(`snapshotFile and overridesFile are both ${snapshotPath}; give each its own file`);
  const common = { onError, ...(clock && { clock }) };
  return {
    ...(snapshotPath !== undefined && { lastKnown: new SnapshotFile({ ...snapshot, path: snapshotPath, ...common }) }),
    ...(overridesPath !== undefined && { overrides: new OverridesFile({ path: overridesPath, ...common }) }),
  };
}
