import cluster, { type Worker } from 'node:cluster';
import type { Logger } from 'pino';
import { AggregatorRegistry } from 'prom-client';
import { backoffMs, DEFAULT_BACKOFF } from '../core/backoff.ts';
import type { SharedMetrics } from './http/metrics.ts';

/** What a worker tells its primary. */
type WorkerMessage =
  | { readonly attune: 'serving'; readonly banner: readonly string[] }
  /** It cannot go on, for a reason that another one would have as well. */
  | { readonly attune: 'failed'; readonly failure: WorkerFailure }
  | { readonly attune: 'metrics'; readonly id: number };

/** What a primary tells its workers. */
type PrimaryMessage =
  | { readonly attune: 'stop' }
  /** Undefined: they could not be collected. */
  | { readonly attune: 'metrics'; readonly id: number; readonly text: string | undefined };

export interface WorkerFailure {
  readonly message: string;
  readonly exitCode: number;
}

export interface WorkersOptions {
  readonly count: number;
  readonly log: Logger;
  /** Told once, with what the first worker that serves has to say. */
  readonly onServing: (banner: readonly string[]) => void;
  /** Settles with the signal that asks to stop. */
  readonly stop: Promise<NodeJS.Signals>;
}

/** Set for the processes that this module starts; a process may be a worker of somebody else's cluster. */
const WORKER_ENV = 'ATTUNE_INTERNAL_WORKER';
/** A worker that served for so long was a good one: the next is started at once. */
const GOOD_AFTER_MS = 60_000;

/**
 * Runs `count` processes like this one, which share a port, until it is asked to stop; a worker that crashes is replaced. Resolves when all have
 * shut down in order, with the failure of one that cannot go on, if there was one.
 */
export async function runWorkers({ count, log, onServing, stop }: WorkersOptions): Promise<WorkerFailure | undefined> {
  const collected = new AggregatorRegistry();
  const running = new Set<Worker>();
  const timers = new Set<NodeJS.Timeout>();
  let isStopping = false;
  let failure: WorkerFailure | undefined;
  let isServing = false;
  let crashes = 0;
  let resolveAllGone: () => void = () => undefined;
  const allGone = new Promise<void>((resolve) => (resolveAllGone = resolve));

  const stopAll = (): void => {
    isStopping = true;
    for (const timer of timers) clearTimeout(timer);
    for (const worker of running) tell(worker, { attune: 'stop' });
    if (running.size === 0) resolveAllGone();
  };
  const hear = async (worker: Worker, message: WorkerMessage): Promise<void> => {
    if (message.attune === 'metrics') {
      const text = await collected.clusterMetrics().catch(() => undefined);
      tell(worker, { attune: 'metrics', id: message.id, text });
    } else if (message.attune === 'failed') {
      failure ??= message.failure;
      stopAll();
    } else if (!isServing) {
      isServing = true;
      onServing(message.banner);
    }
  };
  const start = (id: number): void => {
    const startedAt = performance.now();
    const worker = fork(id);
    if (!worker) return replace(id, startedAt, {});
    running.add(worker);
    worker.on('message', (message: unknown) => {
      if (isOurs(message)) void hear(worker, message as WorkerMessage);
    });
    const gone = (how: object): void => {
      if (!running.delete(worker)) return;
      if (!isStopping) replace(id, startedAt, how);
      else if (running.size === 0) resolveAllGone();
    };
    worker.once('exit', (code, signal) => gone({ code, signal }));
    // One that never came to be does not exit. Any other that cannot be told anything is about to.
    worker.on('error', (error) => worker.process.pid === undefined && gone({ cause: error.message }));
  };
  const fork = (id: number): Worker | undefined => {
    try {
      return cluster.fork({ [WORKER_ENV]: String(id) });
    } catch (error) {
      log.error({ worker: id, err: error }, 'no process can be started');
      return undefined;
    }
  };
  const replace = (id: number, startedAt: number, how: object): void => {
    crashes = performance.now() - startedAt >= GOOD_AFTER_MS ? 0 : crashes + 1;
    const delayMs = crashes === 0 ? 0 : backoffMs(crashes - 1, DEFAULT_BACKOFF);
    log.error({ worker: id, ...how, delayMs }, 'a worker ended by itself; another one takes its place');
    const timer = setTimeout(() => {
      timers.delete(timer);
      start(id);
    }, delayMs);
    timers.add(timer);
  };

  for (let id = 1; id <= count; id++) start(id);
  void stop.then((signal) => {
    log.info({ signal }, 'shutting down');
    stopAll();
  });
  await allGone;
  return failure;
}

/** Ends every worker at once. */
export function killWorkers(): void {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
}

/** The end of a worker's line to its primary. */
export interface WorkerLink {
  /** From 1. */
  readonly id: number;
  /** Settles when the primary asks to stop. Where that is gone Node.js ends the process at once. */
  readonly stop: Promise<undefined>;
  announce(banner: readonly string[]): void;
  fail(failure: WorkerFailure): Promise<void>;
  readonly metrics: SharedMetrics;
  /** Lets go of the primary, which ends the process. */
  close(): void;
}

/** The link of this process to its primary; undefined if it is none of our workers. Call it once. */
export function linkToPrimary(env: Readonly<Record<string, string | undefined>>): WorkerLink | undefined {
  const id = Number(env[WORKER_ENV]);
  if (!cluster.isWorker || !Number.isInteger(id)) return undefined;
  const waiting = new Map<number, (text: string | undefined) => void>();
  let asked = 0;
  // The terminal, and systemd, send a signal to every process: the primary says when.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  const stop = new Promise<undefined>((resolve) => {
    process.on('message', (message: unknown) => {
      if (!isOurs(message)) return;
      const told = message as PrimaryMessage;
      if (told.attune === 'stop') resolve(undefined);
      else waiting.get(told.id)?.(told.text);
    });
  });
  return {
    id,
    stop,
    announce: (banner) => send({ attune: 'serving', banner }),
    fail: (failure) => new Promise((resolve) => send({ attune: 'failed', failure }, resolve)),
    metrics: {
      join: (own) => {
        own.setDefaultLabels({ worker: String(id) });
        AggregatorRegistry.setRegistries(own);
        // It answers the primary from now on.
        void new AggregatorRegistry();
      },
      read: async () => {
        const asking = ++asked;
        const text = await new Promise<string | undefined>((resolve) => {
          waiting.set(asking, resolve);
          send({ attune: 'metrics', id: asking });
        });
        waiting.delete(asking);
        return text;
      },
    },
    close: () => {
      if (process.connected) process.disconnect();
    },
  };
}

const isOurs = (message: unknown): boolean => typeof message === 'object' && message !== null && 'attune' in message;

function tell(worker: Worker, message: PrimaryMessage): void {
  if (worker.isConnected()) worker.send(message, () => undefined);
}

function send(message: WorkerMessage, onSent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => onSent());
  else onSent();
}
