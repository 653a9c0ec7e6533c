// In your own project: import type { ... } from 'attune-client';
import { useCallback, useSyncExternalStore } from 'react';
import type { ClientStatus, ConfigClient, ConfigSchema, KeyOf, ValueOf } from '../../src/client/index.ts';

/** The value of `key`; the component is rendered again when it changes, and only then. */
export function useConfig<S extends ConfigSchema | undefined, K extends KeyOf<S>>(client: ConfigClient<S>, key: K): ValueOf<S, K> {
  const subscribe = useCallback((onChange: () => void) => client.watch(key, onChange), [client, key]);
  // The same object until it changes, as React requires; on a server the same as in the browser.
  const read = (): ValueOf<S, K> => client.get(key);
  return useSyncExternalStore(subscribe, read, read);
}

/** Whether the values are current. Its state alone: `client.status` is a new object each time. */
export function useConfigState<S extends ConfigSchema | undefined>(client: ConfigClient<S>): ClientStatus['state'] {
  const subscribe = useCallback((onChange: () => void) => client.onStatus(onChange), [client]);
  const read = (): ClientStatus['state'] => client.status.state;
  return useSyncExternalStore(subscribe, read, read);
}
