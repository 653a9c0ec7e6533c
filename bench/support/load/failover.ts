import type { Socket } from 'node:net';
import { backoffMs } from '../../../src/core/backoff.ts';
import { ascending } from '../statistics.ts';
import { inParallel, openSocket } from './socket.ts';

const WIDTH = 200;
const LOOK_MS = 20;

export interface FailoverLoad {
  /** Nodes, the first is asked first; after a loss the next one. */
  readonly ports: readonly number[];
  readonly count: number;
  readonly prefix: string;
  readonly withinMs: number;
}

export interface FailoverState {
  readonly synced: number;
}

export interface FailoverResult {
  /** Milliseconds from `lostAt` (of the machine's monotonic clock) until each was current again, sorted. */
  readonly currentAfter: readonly number[];
  /** Numbers that some client did not get, or got twice or out of order. */
  readonly faults: readonly string[];
  readonly resets: number;
}

/** Milliseconds of the machine's clock that all processes share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/**
 * Clients as the SDK is one, as to when and where they connect again (sync.ts: the retry time the server told, or backoff, then the next server, with the
 * last position), and with nothing else of it: thousands of them in one process. The values they hear are numbers that grow by one.
 */
export class FailoverClients {
  readonly #clients: FailoverClient[] = [];

  async open(load: FailoverLoad): Promise<void> {
    await inParallel(load.count, WIDTH, async () => {
      const client = new FailoverClient(load);
      this.#clients.push(client);
      await client.connect();
    });
    await until(
      load.withinMs,
      () => this.state().synced === load.count,
      () => `${this.state().synced} of ${load.count} are synced`,
    );
  }

  state(): FailoverState {
    return { synced: this.#clients.filter(({ isSynced }) => isSynced).length };
  }

  /** Resolves when every client has come as far as `last`. */
  async result(last: number, lostAt: number, withinMs: number): Promise<FailoverResult> {
    const behind = (): number => this.#clients.filter((client) => !client.isSynced || client.last < last).length;
    await until(
      withinMs,
      () => behind() === 0,
      () => `${behind()} clients have not come to ${last}`,
    ).catch((error: Error) => this.#faults.push(error.message));
    return {
      currentAfter: ascending(this.#clients.map(({ syncedAt }) => syncedAt - lostAt)),
      faults: [...this.#faults, ...this.#clients.flatMap(({ faults }) => faults)].slice(0, 20),
      resets: this.#clients.reduce((sum, { resets }) => sum + resets, 0),
    };
  }

  readonly #faults: string[] = [];
}

class FailoverClient {
  readonly faults: string[] = [];
  last = -1;
  isSynced = false;
  syncedAt = Number.NaN;
  resets = 0;
  readonly #load: FailoverLoad;
  #node = 0;
  #failures = 0;
  #retryMs = 0;
  #cursor = '';
  #held = '';

  constructor(load: FailoverLoad) {
    this.#load = load;
  }

  async connect(): Promise<void> {
    const { ports, prefix } = this.#load;
    this.#held = '';
    let socket: Socket;
    try {
      socket = await openSocket(ports[this.#node % ports.length] ?? 0, {
        onBytes: (bytes) => this.#hear(bytes.toString('latin1')),
        onClose: () => this.#lose(),
      });
    } catch {
      return;
    }
    const position = this.#cursor === '' ? '' : `Last-Event-ID: ${this.#cursor}\r\n`;
    socket.write(`GET /api/v1/watch?prefix=${prefix} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n${position}\r\n`);
  }

  /** Also called, once, for a connection that could not be opened. */
  #lose(): void {
    this.isSynced = false;
    this.#failures++;
    this.#node++;
    const waitMs = Math.max(this.#retryMs, backoffMs(this.#failures - 1));
    this.#retryMs = 0;
    setTimeout(() => void this.connect(), waitMs);
  }

  #hear(text: string): void {
    const events = (this.#held + text).split('\n\n');
    this.#held = events.pop() ?? '';
    for (const event of events) {
      const cursor = /^id: (.+)$/m.exec(event)?.[1];
      if (cursor !== undefined) this.#cursor = cursor;
      const retry = /^retry: (\d+)$/m.exec(event)?.[1];
      if (retry !== undefined) this.#retryMs = Number(retry);
      if (event.includes('event: synced')) {
        this.isSynced = true;
        this.syncedAt = monotonicMs();
      } else if (event.includes('event: reset')) this.resets++;
      for (const [, number] of event.matchAll(/"newValue":(\d+)/g)) this.#take(Number(number));
    }
  }

  #take(number: number): void {
    if (this.last !== -1 && number !== this.last + 1) this.faults.push(`${number} came after ${this.last}`);
    this.last = number;
  }
}

async function until(withinMs: number, isSo: () => boolean, what: () => string): Promise<void> {
  for (const deadline = performance.now() + withinMs; !isSo();) {
    if (performance.now() > deadline) throw new Error(`after ${withinMs} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
