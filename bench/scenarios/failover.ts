import { setTimeout as sleep } from 'node:timers/promises';
import { metricOf, startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { monotonicMs } from '../support/load/failover.ts';
import { LoadProcess, requireConnections } from '../support/load/load-process.ts';
import { distributionOf } from '../support/measure.ts';
import { askOnce, attune } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';
import { quantile } from '../support/statistics.ts';
import { startEtcd } from '../support/stores.ts';

const CLIENTS = 5_000;
const EVERY_MS = 500;
const WITHIN_MS = 60_000;
const CURRENT_WITHIN_MS = 5_000;
const KEY = 'bench/failover';

export const failover: Scenario = {
  name: 'failover',
  title: '5,000 clients lose their node and move to another',
  method: `Two nodes over one etcd; ${CLIENTS} streams on the first, from one process, that connect again as the SDK does (after the time the server told, to the next node, with the last position). A number that grows by one is written through the second node every ${EVERY_MS} ms. The first node is killed (SIGKILL); time from then until each client is synced again; every number must come to every client, once and in order. Event loop delay of the second node over that time from its /metrics.`,
  run,
};

interface Round {
  /** Milliseconds, sorted. */
  readonly currentAfter: readonly number[];
  readonly delayMs: number;
  readonly resets: number;
  readonly faults: readonly string[];
}

async function run(bench: Bench): Promise<ScenarioResult> {
  requireConnections(CLIENTS);
  const { attune: rounds } = await bench.alternate({ attune: async () => oneRound(bench) });
  const last = rounds.map(({ currentAfter }) => currentAfter.at(-1) ?? Number.NaN);
  return {
    figures: [
      { party: 'Attune', what: 'current again, p50', unit: 'ms', rounds: rounds.map(({ currentAfter }) => quantile(currentAfter, 0.5)) },
      { party: 'Attune', what: 'current again, the last one', unit: 'ms', rounds: last },
      { party: 'Attune', what: 'event loop delay p99 of the survivor', unit: 'ms', rounds: rounds.map(({ delayMs }) => delayMs) },
      { party: 'Attune', what: 'streams told of a reset', unit: '', rounds: rounds.map(({ resets }) => resets) },
    ],
    goals: [
      { what: 'all are current', unit: 'ms', limit: { atMost: CURRENT_WITHIN_MS }, rounds: last },
      {
        what: 'changes missed, repeated or out of order',
        unit: '',
        limit: { atMost: 0 },
        rounds: rounds.map(({ faults }) => faults.length),
      },
      { what: 'event loop delay p99 of the survivor', unit: 'ms', limit: { atMost: 100 }, rounds: rounds.map(({ delayMs }) => delayMs) },
    ],
    distributions: [distributionOf('node lost to current again', { Attune: rounds.map(({ currentAfter }) => currentAfter) })],
    notes: [...new Set(rounds.flatMap(({ faults }) => faults))].slice(0, 10),
  };
}

async function oneRound(bench: Bench): Promise<Round> {
  const etcdServer = await startEtcd(bench);
  const args = ['--provider', `etcd://${etcdServer.host}/app/config`];
  const [first, second] = [await startAttune(bench, { args }), await startAttune(bench, { args })];
  const load = await LoadProcess.start(bench);
  await load.do('failoverOpen', { ports: [first.port, second.port], count: CLIENTS, prefix: 'bench/', withinMs: WITHIN_MS });

  const writing = new AbortController();
  let last = -1;
  const writer = (async (): Promise<void> => {
    while (!writing.signal.aborted) {
      const { head } = await askOnce(second.port, attune.put(KEY, last + 1));
      if (!/^HTTP\/1\.1 20[01] /.test(head)) throw new Error(`a write was refused: ${head}`);
      last++;
      await sleep(EVERY_MS, undefined, { signal: writing.signal }).catch(() => undefined);
    }
  })();
  try {
    await Promise.race([sleep(3_000), writer]);
    // Each look begins a new time over which the delay is taken.
    await metricOf(second, 'nodejs_eventloop_lag_p99_seconds');
    const lostAt = monotonicMs();
    await first.end('SIGKILL');
    await Promise.race([sleep(CURRENT_WITHIN_MS), writer]);
    const delayMs = (await metricOf(second, 'nodejs_eventloop_lag_p99_seconds')) * 1_000;
    writing.abort();
    await writer;
    return { delayMs, ...(await load.do('failoverResult', { last, lostAt, withinMs: WITHIN_MS })) };
  } finally {
    writing.abort();
    await writer.catch(() => undefined);
    for (const owned of [load, second, first, etcdServer]) await owned[Symbol.asyncDispose]();
  }
}
