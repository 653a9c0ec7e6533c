/*
 * Question: what does the SDK cost its application: a `get`, a start with 10,000 keys, and how long after a PUT is its listener called?
 * Method: the service over a memory store with 10,000 keys (JSON objects of about 100 bytes) is a process of its own. (a) `get`: in processes of their
 * own, without and with a schema (zod, every key), 10 million gets of 1,000 keys in turn, 7 rounds in alternation with a bare Map of the same values; the
 * heap before and after 10 million gets, and the collections in between. (b) Start: 7 new processes, each `connect` once cold, then 9 times warm; in
 * alternation with a bare `fetch` that reads the same stream to its `synced` and parses nothing. (c) Put to callback: 3,000 PUTs of one key,
 * one after the other, over a connection of their own; from the sending of the request to the call of the listener.
 * Command: npx tsx bench/client.ts
 * Excluded: the network; concurrency.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { z } from 'zod';
import { ConfigClient } from '../src/client/index.ts';
import type { ConfigKey } from '../src/core/key.ts';
import type { Operation } from '../src/core/provider.ts';
import { MemoryProvider } from '../src/providers/memory/memory-provider.ts';
import { startHttpServer } from '../src/server/http-server.ts';
import { createLayout } from '../src/server/store/layout.ts';
import { milliseconds, writeReport } from './report.ts';
import { median, quantile } from './support/statistics.ts';

const KEYS = 10_000;
const READ_KEYS = 1_000;
const GETS = 10_000_000;
const GET_ROUNDS = 7;
const STARTS = 7;
const WARM_STARTS = 9;
const PUTS = 3_000;
const NAMESPACE = 'app/config';

const keyAt = (index: number): string => `bench/folder-${index % 100}/key-${String(index).padStart(5, '0')}`;
const valueAt = (index: number) => ({
  enabled: index % 2 === 0,
  limit: index,
  owner: `team-${index % 17}`,
  note: 'a value as configurations have them',
});
const VALUE = z.object({ enabled: z.boolean(), limit: z.number(), owner: z.string(), note: z.string() });

interface Gets {
  /** Gets per second, by round. */
  readonly client: readonly number[];
  readonly map: readonly number[];
  readonly grownBytes: number;
  readonly collections: number;
}

interface Starts {
  readonly coldMs: number;
  readonly warmMs: readonly number[];
  readonly bareMs: readonly number[];
  readonly bytes: number;
}

interface Latencies {
  /** Milliseconds, sorted. */
  readonly callback: readonly number[];
  readonly answer: readonly number[];
}

const [role, url = ''] = process.argv.slice(2);
if (role === 'serve') await serve();
else if (role === 'get') await reply(measureGets(url, false));
else if (role === 'get-schema') await reply(measureGets(url, true));
else if (role === 'start') await reply(measureStarts(url));
else if (role === 'latency') await reply(measureLatency(url));
else await measure();

async function reply(result: Promise<unknown>): Promise<void> {
  process.stdout.write(JSON.stringify(await result));
}

function run(as: string, server: string): unknown {
  const output = execFileSync(process.execPath, ['--expose-gc', '--import', 'tsx', import.meta.filename, as, server], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(output);
}

async function serve(): Promise<void> {
  const provider = new MemoryProvider();
  await provider.open();
  const layout = createLayout(NAMESPACE);
  for (let begin = 0; begin < KEYS; begin += 100) {
    const operations = Array.from({ length: 100 }, (_, offset): Operation => {
      const value = Buffer.from(JSON.stringify(valueAt(begin + offset)));
      return { type: 'put', key: layout.valueKey(keyAt(begin + offset) as ConfigKey), value };
    });
    await provider.commit({ checks: [], operations });
  }
  const server = await startHttpServer({ provider, namespace: NAMESPACE });
  process.send?.(server.url);
}

async function measureGets(server: string, hasSchema: boolean): Promise<Gets> {
  const keys = Array.from({ length: READ_KEYS }, (_, index) => keyAt(index * 7));
  const schema = Object.fromEntries(Array.from({ length: KEYS }, (_, index) => [keyAt(index), VALUE]));
  const options = { url: server, prefix: 'bench/' };
  await using config = hasSchema ? await ConfigClient.connect({ ...options, schema }) : await ConfigClient.connect(options);
  const map = new Map(keys.map((key) => [key, config.get(key)]));
  /** What is read is used, so that no round can be left out. */
  const readClient = (): number => {
    let sum = 0;
    for (let round = 0; round < GETS / READ_KEYS; round++) {
      for (const key of keys) sum += (config.get(key) as ReturnType<typeof valueAt>).limit;
    }
    return sum;
  };
  const readMap = (): number => {
    let sum = 0;
    for (let round = 0; round < GETS / READ_KEYS; round++) {
      for (const key of keys) sum += (map.get(key) as ReturnType<typeof valueAt>).limit;
    }
    return sum;
  };
  const perSecond = (read: () => number): number => {
    const begin = performance.now();
    const sum = read();
    const tookMs = performance.now() - begin;
    if (sum !== (GETS / READ_KEYS) * keys.reduce((total, _key, index) => total + index * 7, 0)) throw new Error(`read ${sum}`);
    return (GETS * 1_000) / tookMs;
  };
  const rounds = Array.from({ length: GET_ROUNDS }, () => ({ client: perSecond(readClient), map: perSecond(readMap) }));

  const collections: PerformanceEntry[] = [];
  const observer = new PerformanceObserver((list) => void collections.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  globalThis.gc?.();
  // The forced one is delivered before the measuring begins.
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections.length = 0;
  const before = process.memoryUsage().heapUsed;
  readClient();
  const grownBytes = process.memoryUsage().heapUsed - before;
  await new Promise((resolve) => setTimeout(resolve, 50));
  observer.disconnect();
  return {
    client: rounds.map((round) => round.client),
    map: rounds.map((round) => round.map),
    grownBytes,
    collections: collections.length,
  };
}

async function measureStarts(server: string): Promise<Starts> {
  const connect = async (): Promise<number> => {
    const begin = performance.now();
    const config = await ConfigClient.connect({ url: server, prefix: 'bench/' });
    const tookMs = performance.now() - begin;
    if (config.view('bench/').keys().length !== KEYS) throw new Error('not every key is there');
    await config.close();
    return tookMs;
  };
  let bytes = 0;
  const readBare = async (): Promise<number> => {
    const begin = performance.now();
    const controller = new AbortController();
    const { body } = await fetch(`${server}/api/v1/watch?prefix=bench/&snapshot`, { signal: controller.signal });
    if (!body) throw new Error('no stream');
    const reader = body.getReader();
    bytes = 0;
    for (let end = ''; !end.includes('event: synced');) {
      const { value } = (await reader.read()) as { readonly value?: Uint8Array | undefined };
      bytes += value?.byteLength ?? 0;
      end = (end + Buffer.from(value ?? []).toString('latin1', Math.max(0, (value?.byteLength ?? 0) - 200))).slice(-400);
    }
    const tookMs = performance.now() - begin;
    controller.abort();
    return tookMs;
  };
  const coldMs = await connect();
  const warmMs: number[] = [];
  const bareMs: number[] = [];
  for (let round = 0; round < WARM_STARTS; round++) {
    bareMs.push(await readBare());
    warmMs.push(await connect());
  }
  return { coldMs, warmMs, bareMs, bytes };
}

async function measureLatency(server: string): Promise<Latencies> {
  await using config = await ConfigClient.connect({ url: server, prefix: 'bench/' });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const key = 'bench/latency';
  const put = (value: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      request(`${server}/api/v1/configs/${key}`, { method: 'PUT', agent, headers }, (answer) => {
        answer.resume().on('end', resolve);
      })
        .on('error', reject)
        .end(JSON.stringify({ value }));
    });
  let onValue: (value: unknown) => void = () => undefined;
  config.watch(key, (value) => onValue(value));
  const callback: number[] = [];
  const answer: number[] = [];
  const warmUp = 300;
  for (let count = 0; count < PUTS + warmUp; count++) {
    const begin = performance.now();
    const called = new Promise<void>((resolve) => {
      onValue = (value) => {
        if (value !== count) throw new Error(`heard ${JSON.stringify(value)} instead of ${count}`);
        if (count >= warmUp) callback.push(performance.now() - begin);
        resolve();
      };
    });
    const answered = put(count).then(() => {
      if (count >= warmUp) answer.push(performance.now() - begin);
    });
    await Promise.all([called, answered]);
  }
  agent.destroy();
  return { callback: callback.toSorted((a, b) => a - b), answer: answer.toSorted((a, b) => a - b) };
}

async function measure(): Promise<void> {
  const child = fork(import.meta.filename, ['serve'], { execArgv: ['--import', 'tsx'] });
  try {
    const [server] = (await once(child, 'message')) as [string];
    const plain = run('get', server) as Gets;
    const typed = run('get-schema', server) as Gets;
    const starts = Array.from({ length: STARTS }, () => run('start', server) as Starts);
    const latencies = run('latency', server) as Latencies;
    const rate = (values: readonly number[]): string => `${(median(values) / 1e6).toFixed(1)} million/s`;
    const warm = starts.flatMap(({ warmMs }) => warmMs).toSorted((a, b) => a - b);
    const bare = starts.flatMap(({ bareMs }) => bareMs).toSorted((a, b) => a - b);
    const over = (values: readonly number[]): string =>
      [quantile(values, 0.5), quantile(values, 0.99), values.at(-1) ?? Number.NaN].map(milliseconds).join(' / ');
    const heap = ({ grownBytes, collections }: Gets): string => `${grownBytes} bytes, ${collections} collections`;
    writeReport({
      name: 'client',
      title: 'The SDK in an application: reads, start, freshness',
      question: `How many \`get\` calls a second, at what cost in garbage; how long does \`connect\` take with ${KEYS} keys; how soon after a PUT is a listener called?`,
      method: `The service over a memory store with ${KEYS} keys is a process of its own. Gets: ${READ_KEYS} keys in turn, ${GETS} a round, medians of ${GET_ROUNDS} rounds in alternation with a bare Map of the same values. Starts: ${STARTS} new processes, one cold start and ${WARM_STARTS} warm ones each, in alternation with a bare \`fetch\` that reads the same stream to its end and parses nothing. Put to callback: ${PUTS} PUTs, one after the other, from sending the request to the call of the listener.`,
      command: 'npx tsx bench/client.ts',
      rows: [
        { what: 'get, without a schema', value: rate(plain.client) },
        { what: 'get, with a schema (zod, every key)', value: rate(typed.client) },
        { what: 'a bare Map, in the same runs', value: `${rate(plain.map)}; ${rate(typed.map)}` },
        { what: `heap after ${GETS} gets, without a schema`, value: heap(plain) },
        { what: `heap after ${GETS} gets, with a schema`, value: heap(typed) },
        {
          what: `connect with ${KEYS} keys, cold process, median / longest`,
          value: `${milliseconds(median(starts.map(({ coldMs }) => coldMs)))} / ${milliseconds(Math.max(...starts.map(({ coldMs }) => coldMs)))}`,
        },
        { what: `connect with ${KEYS} keys, warm, p50 / p99 / longest`, value: over(warm) },
        { what: `bare fetch of the same stream (${starts[0]?.bytes ?? 0} bytes), p50 / p99 / longest`, value: over(bare) },
        { what: 'PUT sent to listener called, p50 / p99 / longest', value: over(latencies.callback) },
        { what: 'PUT sent to answered, p50 / p99 / longest', value: over(latencies.answer) },
      ],
      notes: [
        'A cold start is the first in its process: modules are loaded, nothing is compiled. The process itself takes longer to start than the client.',
        'Heap: without a collection in between, so that whatever a get allocated would still be there; a few kilobytes are the measuring itself.',
        'Server and client share the cores of one machine, here also with other work: the longest times are its.',
      ],
      data: { plain, typed, starts, latencies: { callback: quantiles(latencies.callback), answer: quantiles(latencies.answer) } },
    });
  } finally {
    child.kill('SIGKILL');
  }
}

function quantiles(sorted: readonly number[]): Readonly<Record<string, number>> {
  return { p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN };
}
