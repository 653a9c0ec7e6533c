import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { ResetReason } from '../../core/item.ts';
import type { ConfigService } from '../config-service.ts';
import type { HeldKind, RefusalReason } from './admission.ts';
import { RequestTimes } from './request-times.ts';

/** Metrics of several processes that answer as one. */
export interface SharedMetrics {
  /** Adds those of this process, under a label of its own. */
  join(own: Registry): void;
  /** Those of all; undefined if the others do not answer. */
  read(): Promise<string | undefined>;
}

export interface Metrics {
  readonly contentType: string;
  /** In Prometheus' text format. */
  read(): Promise<string>;
  countRequest(route: string, method: string, status: number, seconds: number): void;
  countReset(reason: ResetReason): void;
  countListenerError(): void;
  countRefusal(kind: HeldKind, reason: RefusalReason): void;
}

export interface MetricSources {
  readonly service: ConfigService;
  readonly streams: () => number;
  readonly polls: () => number;
  readonly waitingSnapshots: () => number;
  /** Default: those of this process alone. */
  readonly shared?: SharedMetrics | undefined;
}

let ofProcess: Registry | undefined;

/**
 * Once for all servers of the process: what observes the process holds on to its registry for ever, and that to a server. Delays of the event loop are
 * those since any of them was asked last.
 */
function processMetrics(): Registry {
  if (!ofProcess) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}

/** What `/metrics` shows. Labels are routes, methods, statuses and reasons, never keys: their number is bounded. */
export function createMetrics({ service, streams, polls, waitingSnapshots, shared }: MetricSources): Metrics {
  const registry = Registry.merge([processMetrics()]);
  const registers = [registry];
  const requests = new RequestTimes();
  registry.registerMetric(requests);
  const resets = new Counter({
    name: 'attune_resets_total',
    help: 'Streams told that their position is of no use',
    labelNames: ['reason'] as const,
    registers,
  });
  const refusals = new Counter({
    name: 'attune_refused_total',
    help: 'Streams and long-polls sent away because a limit was reached, of the node or of the client',
    labelNames: ['kind', 'reason'] as const,
    registers,
  });
  const listenerErrors = new Counter({
    name: 'attune_subscriber_errors_total',
    help: 'Watchers that failed while being told of a change',
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  };
  gauge('attune_streams', 'Open event streams', streams);
  gauge('attune_polls', 'Held long-polls', polls);
  gauge('attune_snapshots_waiting', 'Streams whose snapshot waits for a place', waitingSnapshots);
  gauge('attune_keys', 'Keys in the mirror', () => service.keys);
  gauge('attune_skipped_keys', 'Stored keys outside the grammar of keys', () => service.skippedKeys);
  gauge('attune_mirror_revision', 'Revision of the mirror', () => service.revision);
  gauge('attune_mirror_age_seconds', 'Time since the store was last heard', () => service.lagMs / 1_000);
  gauge('attune_live', '1 while the mirror is fed by the store', () => (service.state === 'live' ? 1 : 0));
  gauge('attune_window_batches', 'Batches that can be replayed', () => service.window.size);
  gauge('attune_window_bytes', 'Bytes of the batches that can be replayed', () => service.window.bytes);
  shared?.join(registry);
  return {
    contentType: registry.contentType,
    read: async () => (await shared?.read()) ?? registry.metrics(),
    countRequest: (route, method, status, seconds) => requests.count(route, method, status, seconds),
    countReset: (reason) => resets.labels(reason).inc(),
    countListenerError: () => listenerErrors.inc(),
    countRefusal: (kind, reason) => refusals.labels(kind, reason).inc(),
  };
}
