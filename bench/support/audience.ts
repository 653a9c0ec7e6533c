import type { LoadProcess } from './load/load-process.ts';
import { processorSeconds, untilQuiet } from './processor.ts';
import { ascending } from './statistics.ts';

/** In each round, one after the other. */
export const CHANGES = 5;
/** For everybody to be there, or to hear of a change. */
export const WITHIN_MS = 60_000;

/** Thousands of listeners of one server, and the write they hear of. */
export interface Audience {
  /** The server. */
  readonly pid: number;
  readonly load: LoadProcess;
  /** Before each change: polls are sent again. */
  readonly prepare?: () => Promise<void>;
  readonly change: (value: string) => { readonly port: number; readonly request: string; readonly marker: string };
}

/** One round: the arrivals of all its changes. */
export interface AudienceRound {
  /** Milliseconds, sorted. */
  readonly arrivals: readonly number[];
  /** Of the server, microseconds for each change and listener. */
  readonly processorMicros: number;
}

let changes = 0;

export async function measureAudience({ pid, prepare, change, load }: Audience, listeners: number): Promise<AudienceRound> {
  const arrivals: number[] = [];
  let seconds = 0;
  for (let index = 0; index < CHANGES; index++) {
    await prepare?.();
    await untilQuiet(pid);
    const before = processorSeconds(pid);
    // Of one length, so that every frame is as long as the others.
    const { times } = await load.do('change', { ...change(`change-${String(changes++).padStart(8, '0')}`), withinMs: WITHIN_MS });
    arrivals.push(...times);
    await untilQuiet(pid);
    seconds += processorSeconds(pid) - before;
  }
  return { arrivals: ascending(arrivals), processorMicros: (seconds * 1e6) / CHANGES / listeners };
}
