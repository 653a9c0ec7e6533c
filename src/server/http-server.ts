import type { Server } from 'node:http';
import { Server as NetServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import type { ConfigProvider } from '../core/provider.ts';
import { ConfigService, type ConfigServiceOptions } from './config-service.ts';
import { Admission, type AdmissionLimits } from './http/admission.ts';
import { createListener } from './http/listener.ts';
import { LongPolls } from './http/long-poll.ts';
import { createMetrics, type Metrics, type SharedMetrics } from './http/metrics.ts';
import { Streams } from './http/streams.ts';
import { Turns } from './turns.ts';
import { VERSION } from './version.ts';

export interface HttpServerOptions {
  /** Open. Closed by the caller, after the server. */
  readonly provider: ConfigProvider;
  readonly namespace: string;
  /** Where the store runs, for `/status`. Default none: in this process. */
  readonly storeHosts?: readonly string[];
  /** Default 127.0.0.1. There is no authentication: who reaches this address can read and write. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  readonly allowedHosts?: readonly string[];
  readonly corsOrigins?: readonly string[];
  readonly log?: Logger;
  /** Called whenever the node begins to be live. */
  readonly onLive?: () => void;
  /** A reader of a stream that takes nothing for this long is closed. Default 30,000. */
  readonly stallMs?: number;
  readonly admission?: Partial<AdmissionLimits>;
  /** Where several processes share the port. */
  readonly sharedMetrics?: SharedMetrics | undefined;
  /** One of the places for snapshots is kept for so long at most. Default 5,000. */
  readonly placeMs?: number;
  readonly service?: Pick<ConfigServiceOptions, 'maxValueBytes' | 'window' | 'feed' | 'now' | 'random'>;
}

export interface HttpServer {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly port: number;
  readonly service: ConfigService;
  readonly streams: Streams;
  readonly polls: LongPolls;
  /**
   * Readiness turns false, polls are answered, streams are sent away, requests in progress get `graceMs` (default 10,000), then every
   * connection is closed. Idempotent.
   */
  close(options?: { readonly graceMs?: number; readonly spreadMs?: number }): Promise<void>;
}

const GRACE_MS = 10_000;
const SPREAD_MS = 3_000;
/** Connections on their way in: a node's clients come all at once when it is the other one that failed. The system may allow fewer. */
const BACKLOG = 4_096;
const READY_MS = 3_000;
/** An idle connection is kept this long when the server closes. */
const LINGER_MS = 250;

/**
 * Serves one namespace of `provider` over HTTP. Resolves when it listens; whether it is ready is told by `/readyz`.
 * @throws {NodeJS.ErrnoException} EADDRINUSE and the like.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const log = options.log ?? pino({ level: 'silent' });
  const host = options.host ?? '127.0.0.1';
  const onWatcherError = (error: unknown): void => {
    metrics.countListenerError();
    log.error({ err: error }, 'a watcher failed while being told of a change');
  };
  const service = createService(options, log, onWatcherError);
  const turns = new Turns(onWatcherError);
  const admission = new Admission({
    limits: options.admission,
    random: options.service?.random,
    onRefused: (kind, reason) => metrics.countRefusal(kind, reason),
  });
  const polls = new LongPolls({ service, turns, admission, random: options.service?.random });
  const streams: Streams = new Streams({
    service,
    turns,
    admission,
    placeMs: options.placeMs,
    onReset: (reason) => metrics.countReset(reason),
    ...(options.stallMs !== undefined && { stallMs: options.stallMs }),
    ...(options.service?.now && { now: options.service.now }),
    ...(options.service?.random && { random: options.service.random }),
  });
  const metrics: Metrics = createMetrics({
    service,
    streams: () => streams.size,
    polls: () => polls.size,
    waitingSnapshots: () => streams.waitingSnapshots,
    shared: options.sharedMetrics,
  });
  let isDraining = false;
  const server = createListener({
    service,
    streams,
    polls,
    metrics,
    admission: admission.limits,
    log,
    rules: { allowedHosts: [...(options.allowedHosts ?? []), ...namedHost(host)], corsOrigins: options.corsOrigins ?? [] },
    version: VERSION,
    storeHosts: options.storeHosts ?? [],
    isDraining: () => isDraining,
  });
  service.start();
  // The embedded store is loaded in no time; one that cannot be reached must not keep the node from telling so.
  await service.reached(service.revision, { deadlineMs: READY_MS }).catch(() => undefined);
  try {
    await listen(server, host, options.port ?? 0);
  } catch (error) {
    streams.close();
    await service.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    service,
    streams,
    polls,
    close: ({ graceMs = GRACE_MS, spreadMs = SPREAD_MS } = {}) => {
      closing ??= (async () => {
        isDraining = true;
        polls.releaseAll();
        streams.drain(spreadMs);
        await closeServer(server, graceMs);
        streams.close();
        await service.close();
      })();
      return closing;
    },
  };
}

function createService(options: HttpServerOptions, log: Logger, onSubscriberError: (error: unknown) => void): ConfigService {
  let toldOfSkipped = false;
  return new ConfigService({
    provider: options.provider,
    namespace: options.namespace,
    ...options.service,
    onStateChange: (state, cause) => {
      if (state === 'live') {
        log.info({ state }, 'following the store');
        options.onLive?.();
      } else if (cause) log.warn({ state, cause: cause.message }, 'the store cannot be followed; trying again');
    },
    onSkippedKey: (storeKey) => {
      if (toldOfSkipped) return;
      toldOfSkipped = true;
      log.warn({ storeKey }, 'a stored key is outside the grammar of keys and is skipped; more are only counted');
    },
    onSubscriberError,
  });
}

/** The address itself is a name the service answers for, unless it stands for all addresses. */
function namedHost(host: string): string[] {
  return host === '0.0.0.0' || host === '::' ? [] : [host.includes(':') ? `[${host}]` : host.toLowerCase()];
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  // Accepts no more. The HTTP server's own close would also end connections whose next request is on its way: they are given a moment in which
  // it is answered with `Connection: close`.
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const deadline = performance.now() + graceMs;
  const done = closed.then(() => true);
  const isQuiet = await Promise.race([done, sleep(Math.min(LINGER_MS, graceMs), false)]);
  // Ends the server's timer as well, which would hold on to it and to all it serves.
  server.close();
  if (isQuiet) return;
  // A connection becomes idle at any time: asking once would leave it open for its keep-alive time.
  while (performance.now() < deadline) {
    server.closeIdleConnections();
    if (await Promise.race([done, sleep(25, false)])) return;
  }
  server.closeAllConnections();
  await closed;
}
