import type { ConfigService } from '../config-service.ts';
import type { AdmissionLimits } from './admission.ts';

export interface StatusSources {
  readonly service: ConfigService;
  readonly version: string;
  /** Of a store that runs elsewhere; without user and password. */
  readonly storeHosts: readonly string[];
  readonly streams: () => number;
  readonly polls: () => number;
  readonly admission: AdmissionLimits;
}

/** `GET /status`: one object for operators and tools. */
export function statusOf({ service, version, storeHosts, streams, polls, admission }: StatusSources): Readonly<Record<string, unknown>> {
  const { provider } = service;
  return {
    version,
    state: service.state,
    since: new Date(service.since).toISOString(),
    store: {
      provider: provider.name,
      ...(storeHosts.length > 0 && { hosts: storeHosts, namespace: service.layout.namespace }),
      epoch: service.epoch,
      revision: service.revision,
      lagMs: service.lagMs,
    },
    window: { oldest: service.window.oldest, newest: service.revision },
    streams: streams(),
    polls: polls(),
    keys: service.keys,
    skippedKeys: service.skippedKeys,
    limits: { ...service.limits, maxKeyBytes: 512, ...admission },
    history: provider.capabilities.history,
  };
}

interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Whether this node should be sent requests. Stale is ready: it serves what it knows and says so. */
function readinessOf(service: ConfigService, isDraining: boolean): { readonly ready: boolean; readonly checks: readonly ReadinessCheck[] } {
  const { state } = service;
  const cause = service.cause?.message;
  const checks: ReadinessCheck[] = [
    {
      name: 'loaded',
      ok: state === 'live' || state === 'stale',
      detail: state === 'connecting' ? (cause ?? 'the configuration is being loaded') : state,
    },
    { name: 'accepting', ok: !isDraining && state !== 'closed', detail: isDraining ? 'shutting down' : 'accepting requests' },
  ];
  if (state === 'stale') checks.push({ name: 'store', ok: true, detail: `serving from memory: ${cause ?? 'the store is unreachable'}` });
  return { ready: checks.every(({ ok }) => ok), checks };
}

/** What a health check is told, as JSON text. */
export interface Health {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** `GET /healthz`: the process runs and answers. */
export const LIVENESS: Health = { status: 200, text: '{"status":"ok"}', headers: {} };

/** `GET /readyz` */
export function readinessHealth(service: ConfigService, isDraining: boolean): Health {
  const { ready, checks } = readinessOf(service, isDraining);
  return {
    status: ready ? 200 : 503,
    text: JSON.stringify({ status: ready ? 'ready' : 'not ready', checks }),
    headers: ready ? {} : { 'Retry-After': '1' },
  };
}
