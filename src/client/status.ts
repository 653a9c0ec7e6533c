import type { SyncState } from './sync.ts';

/**
 * Whether what `get` answers is current. `stale` values are the last known ones: from memory, from a file (./node only), or the schema's
 * defaults because no server was reached yet.
 */
export type ClientStatus =
  | { readonly state: 'connecting'; readonly attempt: number }
  | { readonly state: 'live'; readonly revision: number; readonly since: Date }
  | {
      readonly state: 'stale';
      readonly source: 'memory' | 'file' | 'defaults';
      readonly revision: number;
      readonly since: Date;
      readonly cause: unknown;
    }
  | { readonly state: 'closed' };

export function statusOf(state: SyncState): ClientStatus {
  const { phase, source, trouble } = state;
  const revision = state.position?.revision ?? state.servedRevision;
  if (phase.name === 'closed') return { state: 'closed' };
  if (source === 'none')
    return { state: 'connecting', attempt: phase.name === 'idle' ? 0 : state.failures + (phase.name === 'waiting' ? 0 : 1) };
  if (phase.name === 'live' && !phase.connection.nodeTrouble) return { state: 'live', revision, since: new Date(phase.since) };
  const why = (phase.name === 'live' ? phase.connection.nodeTrouble : undefined) ?? trouble;
  return { state: 'stale', source, revision, since: new Date(why?.since ?? 0), cause: why?.cause };
}

/** True if a listener should hear of it: not for every revision, nor for every further failure of the same outage. */
export function isNewStatus(before: ClientStatus, after: ClientStatus): boolean {
  if (before.state !== after.state) return true;
  if (before.state === 'connecting' && after.state === 'connecting') return before.attempt !== after.attempt;
  return before.state === 'stale' && after.state === 'stale' && before.source !== after.source;
}
