import type { StopFunction } from './listeners.ts';
import type { ConfigChange, ConfigSchema, KeyOf, ValueOf } from './schema.ts';

/** The rest of a key under a prefix; any text where keys are. */
export type RestOf<K extends string, P extends string> = string extends K ? string : K extends `${P}${infer Rest}` ? Rest : never;

/** A part of the configuration, by names that leave out its prefix. */
export interface ConfigView<S extends ConfigSchema | undefined, P extends string> {
  readonly prefix: P;
  /** As `get` of the client, without a check: an unknown name has no value. */
  get<R extends RestOf<KeyOf<S>, P>>(name: R): ValueOf<S, `${P}${R}`>;
  /** Names that have a value now, sorted. */
  keys(): readonly string[];
  /** As an object, a copy. */
  toObject(): Readonly<Record<string, unknown>>;
  /** Calls `listener` for every change under the prefix, in order. */
  watch(listener: (change: ConfigChange<S>) => unknown): StopFunction;
}

interface ViewOfClient {
  readonly get: (key: string) => unknown;
  readonly keys: () => Iterable<string>;
  readonly watch: (listener: (change: never) => unknown) => StopFunction;
}

export function createView<S extends ConfigSchema | undefined, P extends string>(prefix: P, client: ViewOfClient): ConfigView<S, P> {
  const keys = (): string[] =>
    [...client.keys()]
      .filter((key) => key.startsWith(prefix) && client.get(key) !== undefined)
      .map((key) => key.slice(prefix.length))
      .sort();
  return {
    prefix,
    get: <R extends RestOf<KeyOf<S>, P>>(name: R) => client.get(prefix + name) as ValueOf<S, `${P}${R}`>,
    keys,
    toObject: () => Object.fromEntries(keys().map((name) => [name, client.get(prefix + name)])),
    watch: (listener) => client.watch(listener),
  };
}
