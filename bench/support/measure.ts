import type { LoadProcess } from './load/load-process.ts';
import type { RequestLoad } from './load/request-load.ts';
import { processorSeconds } from './processor.ts';
import type { Distribution, Figure } from './result.ts';
import { ascending, quantile } from './statistics.ts';

/** One round of a closed loop against one server. */
export interface LoadRound {
  readonly perSecond: number;
  /** Processor time of the server for each request, in microseconds. */
  readonly processorMicros: number;
  /** The same of the load process: it has to be the cheaper one. */
  readonly loadMicros: number;
  /** Milliseconds, sorted. */
  readonly latencies: readonly number[];
}

export interface TimedLoad {
  /** The server, whose processor time is taken. */
  readonly pid: number;
  readonly port: number;
  readonly requests: readonly string[];
  readonly connections: number;
  readonly statuses?: readonly number[];
  readonly durationMs: number;
}

export async function measureLoad(load: LoadProcess, timed: TimedLoad): Promise<LoadRound> {
  const { pid, durationMs, statuses = [200], port, requests, connections } = timed;
  const before = processorSeconds(pid);
  const loadBefore = processorSeconds(load.pid);
  const until: RequestLoad['until'] = { durationMs, warmUpMs: Math.min(500, durationMs / 4) };
  const { completed, seconds, total, latencies } = await load.do('requests', { port, requests, connections, statuses, until });
  return {
    perSecond: completed / seconds,
    processorMicros: ((processorSeconds(pid) - before) / total) * 1e6,
    loadMicros: ((processorSeconds(load.pid) - loadBefore) / total) * 1e6,
    latencies,
  };
}

/** What every closed loop shows. `suffix` tells two loops of one party apart. */
export function loadFigures(party: string, rounds: readonly LoadRound[], suffix = ''): readonly Figure[] {
  return [
    { party, what: `requests${suffix}`, unit: 'per second', rounds: rounds.map(({ perSecond }) => perSecond) },
    {
      party,
      what: `processor time of the load process per request${suffix}`,
      unit: 'µs',
      rounds: rounds.map(({ loadMicros }) => loadMicros),
    },
    {
      party,
      what: `processor time of the server per request${suffix}`,
      unit: 'µs',
      rounds: rounds.map(({ processorMicros }) => processorMicros),
    },
    ...timeFigures(
      party,
      `latency${suffix}`,
      rounds.map(({ latencies }) => latencies),
    ),
  ];
}

/** p50 and p99 of each round, in milliseconds. Each round is sorted. */
export function timeFigures(party: string, what: string, rounds: readonly (readonly number[])[]): readonly Figure[] {
  return [0.5, 0.99].map((share) => ({
    party,
    what: `${what}, p${share * 100}`,
    unit: 'ms',
    rounds: rounds.map((times) => quantile(times, share)),
  }));
}

/** Times of all rounds of each party. */
export function distributionOf(title: string, parties: Readonly<Record<string, readonly (readonly number[])[]>>): Distribution {
  return { title, parties: Object.entries(parties).map(([name, rounds]) => ({ name, times: ascending(rounds.flat()) })) };
}
