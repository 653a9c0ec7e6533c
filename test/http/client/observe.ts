import type { ConfigClient, ClientStatus, ConfigChange, JsonValue } from '../../../src/client/index.ts';

/** No waiting between attempts. */
export const AT_ONCE = Object.freeze({ baseMs: 0, factor: 1, maxMs: 0 });

export type BriefChange = readonly [type: ConfigChange['type'], key: string, oldValue: JsonValue, newValue: JsonValue, version: number];

/** Everything a client tells from now on, up to a marker. Absence is proved by the marker, not by waiting. */
export function recordChanges(client: ConfigClient): { readonly through: (markerKey: string) => Promise<readonly BriefChange[]> } {
  const changes = client.changes();
  return {
    through: async (markerKey) => {
      const seen: BriefChange[] = [];
      for (;;) {
        const { value: change, done } = await changes.next();
        if (done) throw new Error(`the client was closed before '${markerKey}' changed`);
        if (change.key === markerKey) return seen;
        seen.push([change.type, change.key, change.oldValue, change.newValue, change.version]);
      }
    },
  };
}

/** Resolves when the client is, or gets, into this state. */
export async function statusOf<State extends ClientStatus['state']>(
  client: ConfigClient,
  state: State,
): Promise<Extract<ClientStatus, { readonly state: State }>> {
  type Wanted = Extract<ClientStatus, { readonly state: State }>;
  const isWanted = (status: ClientStatus): status is Wanted => status.state === state;
  const { status } = client;
  if (isWanted(status)) return status;
  return new Promise((resolve) => {
    const stop = client.onStatus((now) => {
      if (!isWanted(now)) return;
      stop();
      resolve(now);
    });
  });
}

/** The error a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}
