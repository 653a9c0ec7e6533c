import { getEventListeners, setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigClient, type ConfigClientOptions } from '../../src/client/index.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { eventually } from '../support/eventually.ts';
import { NodeProcess } from '../support/node-process.ts';
import { NumberedWriter } from '../support/numbered-writer.ts';
import { IS_LONG } from '../support/seed.ts';
import { SkewedClock } from '../support/skewed-clock.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const CLIENTS = IS_LONG ? 200 : 50;
const RECONNECTS = IS_LONG ? 50 : 10;
const KEYS = 20;
const TIME_LIMIT_MS = IS_LONG ? 900_000 : 120_000;
/** The server's `retry` is at most 3 s: more than that has passed for the clients after each cut. */
const RETRY_MS = 3_100;

/** A client that knows, without keeping what it heard, whether anything was missing: each key's values are numbers {@link KEYS} apart. */
class CountingClient {
  readonly config: ConfigClient;
  readonly #last = new Map<string, { readonly value: number; readonly version: number }>();
  readonly feed: Promise<number>;
  heard = 0;
  /** What was missing, twice or out of order. */
  readonly faults: string[] = [];
  failures = 0;

  constructor(options: Pick<ConfigClientOptions, 'url' | 'clock' | 'backoff' | 'fetch'>, signal: AbortSignal) {
    this.config = new ConfigClient({ ...options, prefix: 'app/', onError: () => this.failures++ });
    this.config
      .view('app/')
      .watch(({ key, newValue, oldValue, version }) => this.#check(key, newValue as number, oldValue as number, version));
    this.feed = this.#count(signal);
  }

  last(key: string): number | undefined {
    return this.#last.get(key)?.value;
  }

  #check(key: string, value: number, oldValue: number | null, version: number): void {
    const last = this.#last.get(key);
    this.heard++;
    // The first is that of the first state.
    if (last && (value !== last.value + KEYS || oldValue !== last.value || version <= last.version)) {
      this.faults.push(`${key}: ${value} at ${version} (replacing ${oldValue}) after ${last.value} at ${last.version}`);
    }
    const read = Number(this.config.get(key));
    if (!(read >= value)) this.faults.push(`${key} reads ${read} at ${value}`);
    this.#last.set(key, { value, version });
  }

  async #count(signal: AbortSignal): Promise<number> {
    let count = 0;
    for await (const _change of this.config.changes({ signal })) count++;
    return count;
  }
}

const countOf = (resource: string): number => process.getActiveResourcesInfo().filter((one) => one === resource).length;

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Counts events per 100 ms. Where the process stood still for longer, what it then catches up with is spread over that time. */
class RateMeter implements Disposable {
  readonly #times: number[] = [];
  readonly #ticks: number[] = [performance.now()];
  readonly #ticker = setInterval(() => this.#ticks.push(performance.now()), 10);

  count(): void {
    this.#times.push(performance.now());
  }

  /** Between two times. */
  total(begin: number, end: number): number {
    return this.#times.filter((at) => at >= begin && at < end).length;
  }

  rates(begin: number, end: number): number[] {
    const rates: number[] = [];
    const ticks = this.#ticks.filter((at) => at >= begin && at < end);
    let from = begin;
    for (const [index, tick] of ticks.entries()) {
      // Timers that were due during a stall fire after the tick that ends it.
      const isLate = tick - (ticks[index - 1] ?? tick) > 30;
      if (tick - from < 100 || isLate) continue;
      rates.push((this.total(from, tick) * 100) / (tick - from));
      from = tick;
    }
    return rates;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticker);
  }
}

describe(`${CLIENTS} clients in one process`, () => {
  let home = '';
  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'attune-reconnects-'));
  });
  afterEach(async () => rm(home, { recursive: true, force: true, maxRetries: 5 }));

  test(
    `through ${RECONNECTS} forced reconnects each miss nothing, hear nothing twice, and leak nothing`,
    async () => {
      await using node = await NodeProcess.start(home);
      await using proxy = await TcpProxy.start(() => node.port);
      const writer = new NumberedWriter(node.port, KEYS);
      for (let count = 0; count < KEYS; count++) await writer.write();
      const before = { heap: heapBytes(), sockets: countOf('TCPSocketWrap'), timers: countOf('Timeout') };

      const clock = new SkewedClock();
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      const backoff = { baseMs: 20, factor: 2, maxMs: 200 };
      const clients = Array.from({ length: CLIENTS }, () => new CountingClient({ url: proxy.url, clock, backoff }, stop.signal));
      const areLive = async (): Promise<void> =>
        eventually(() => {
          const away = clients.filter(({ config }) => config.status.state !== 'live').length;
          expect(away, `${away} clients are not live`).toBe(0);
        }, 60_000);
      const reconnect = async (): Promise<void> => {
        proxy.reset();
        // Before the clock moves all have noticed.
        await eventually(() => expect(clients.filter(({ config }) => config.status.state === 'live')).toHaveLength(0), 30_000);
        clock.pass(RETRY_MS);
        await areLive();
      };
      await Promise.all(clients.map(({ config }) => config.start({ timeoutMs: 60_000, signal: stop.signal })));
      writer.start(5);
      // What a first reconnect loads or compiles is no leak.
      for (let round = 0; round < 3; round++) await reconnect();
      const measure = () => ({
        heap: heapBytes(),
        sockets: countOf('TCPSocketWrap'),
        timers: clock.timers,
        listeners: getEventListeners(stop.signal, 'abort').length,
      });
      await writer.stop();
      const baseline = measure();

      writer.start(5);
      const startedAt = performance.now();
      for (let round = 0; round < RECONNECTS; round++) await reconnect();
      const tookMs = performance.now() - startedAt;
      await writer.stop();
      await eventually(() => {
        for (let number = writer.last - KEYS + 1; number <= writer.last; number++) {
          expect(clients.filter((client) => client.last(writer.keyOf(number)) !== number)).toHaveLength(0);
        }
      }, 30_000);
      expect(clients.flatMap(({ faults }) => faults)).toEqual([]);
      expect(clients.filter(({ config }) => config.get(writer.keyOf(writer.last)) !== writer.last)).toHaveLength(0);
      expect(clients.filter(({ failures }) => failures < RECONNECTS)).toHaveLength(0);
      const connections = proxy.acceptedAt.length;
      // One connection each, and one more for each reconnect: none beside them.
      expect(connections).toBe(CLIENTS * (1 + 3 + RECONNECTS));

      await eventually(() => {
        const { sockets, timers, listeners } = measure();
        expect({ sockets, timers, listeners }).toEqual({
          sockets: baseline.sockets,
          timers: baseline.timers,
          listeners: baseline.listeners,
        });
      });
      // Each client holds one timer (for silence), one socket (and two of the proxy in this process), one listener for its loop.
      expect(baseline.timers).toBe(CLIENTS);
      expect(baseline.listeners).toBe(CLIENTS);
      const grownBytes = heapBytes() - baseline.heap;
      // Compiled code and the like, and 100 bytes for each reconnect: one that kept a controller, a frame or a response would show in the long form.
      expect(grownBytes, 'bytes of heap grown').toBeLessThan(3_000_000 + CLIENTS * RECONNECTS * 100);

      await Promise.all(clients.map(({ config }) => config.close()));
      const counted = await Promise.all(clients.map(({ feed }) => feed));
      expect(counted).toEqual(clients.map(({ heard }) => heard));
      expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
      expect(clock.timers).toBe(0);
      // Node 20's fetch (undici 6) opens an idle connection in the place of one that was given up, one each, and again when that is lost. No request
      // is sent on it, and it keeps no process alive; nothing of it is left when there is no server any more.
      expect(proxy.connections).toBeLessThanOrEqual(CLIENTS);
      await proxy[Symbol.asyncDispose]();
      await eventually(() => expect(countOf('TCPSocketWrap')).toBeLessThanOrEqual(before.sockets));
      console.info(
        `${CLIENTS} clients, ${RECONNECTS} reconnects each in ${Math.round(tookMs)} ms: ${connections} connections, ${writer.last} changes written, ` +
          `${clients.reduce((sum, { heard }) => sum + heard, 0)} heard; heap ${before.heap} before, ${baseline.heap} at the baseline, ` +
          `${grownBytes >= 0 ? '+' : ''}${grownBytes} after; ${baseline.sockets} sockets, ${baseline.timers} timers`,
      );
    },
    TIME_LIMIT_MS,
  );

  /**
   * Why these bounds. First attempts are spread over the 1 to 3 s of the server's `retry`: a twentieth of the clients per 100 ms. The next ones follow
   * within 500 ms, 1 s, 2 s, 4 s of full jitter, so that at no time more than a few such waves lie over each other. Where connections are
   * accepted and then reset, the third makes it a poll, whose backoff begins anew and which asks twice. All at once would be all clients in
   * one of the intervals; retries without growing delays would go on at the first rate or above.
   */
  // How many attempts a second there are is a matter of real time: by command only.
  const storms = [
    { how: 'refuses connections', isBehindProxy: false, attemptsEach: 8, share: 0.5 },
    { how: 'is behind a proxy that accepts and resets them', isBehindProxy: true, attemptsEach: 18, share: 0.9 },
  ];
  test.each(IS_LONG ? storms : [])(
    'do not storm a server that $how for 6 s, nor when it is back, each in its own time',
    async ({ isBehindProxy, attemptsEach, share }) => {
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      let node = await NodeProcess.start(home);
      const { port } = node;
      await using proxy = await TcpProxy.start(() => port);
      using meter = new RateMeter();
      const counted: typeof fetch = (input, init) => {
        meter.count();
        return fetch(input, init);
      };
      const url = isBehindProxy ? proxy.url : node.url;
      const clients = Array.from({ length: CLIENTS }, () => new CountingClient({ url, fetch: counted }, stop.signal));
      try {
        const writer = new NumberedWriter(port, KEYS);
        for (let count = 0; count < KEYS; count++) await writer.write();
        await Promise.all(clients.map(({ config }) => config.start({ timeoutMs: 60_000 })));
        const connected = proxy.acceptedAt.length;
        const lostAt = performance.now();
        await node.end('SIGKILL');
        await sleep(6_000);
        node = await NodeProcess.start(home, port);
        const backAt = performance.now();
        await writer.write();
        await eventually(() => {
          expect(clients.filter(({ config }) => config.get(writer.keyOf(writer.last)) !== writer.last)).toHaveLength(0);
        }, 60_000);
        const endAt = performance.now();
        const away = meter.rates(lostAt, backAt);
        const back = meter.rates(backAt, endAt);
        const show = (rates: readonly number[]): string => rates.map((rate) => Math.round(rate)).join(' ');
        console.info(
          `down for ${Math.round(backAt - lostAt)} ms, attempts per 100 ms: ${show(away)} (${meter.total(lostAt, backAt)})\n` +
            `back, all after ${Math.round(endAt - backAt)} ms: ${show(back)} (${meter.total(backAt, endAt)})`,
        );
        if (isBehindProxy) expect(proxy.acceptedAt.length - connected).toBeLessThanOrEqual(meter.total(lostAt, endAt));
        expect(Math.max(...away), 'attempts per 100 ms while it is down').toBeLessThanOrEqual(CLIENTS * share);
        expect(Math.max(...back), 'attempts per 100 ms when it is back').toBeLessThanOrEqual(CLIENTS / 4);
        expect(meter.total(lostAt, backAt), 'attempts while it is down').toBeLessThanOrEqual(attemptsEach * CLIENTS);
        expect(clients.flatMap(({ faults }) => faults)).toEqual([]);
      } finally {
        await Promise.all(clients.map(({ config }) => config.close()));
        await node.end('SIGKILL');
      }
    },
    TIME_LIMIT_MS,
  );
});
