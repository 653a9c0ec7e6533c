/*
 * Question: what do 100,000 keys cost one node: time to be ready, memory, and a prefix list of 100 of them?
 * Method: the embedded store is filled through the service (100 folders of 1,000 keys, values of 100 bytes of JSON). Then, each in a
 * process of its own, in alternation, 5 rounds: (a) the raw list: open the provider, list everything mirrored, end; (b) the node: open, follow, listen, be
 * ready, then 2,000 sequential GETs of one item and 2,000 lists of 100 keys over one connection, each in alternation with a bare node:http server in the
 * same process that answers the same bytes, heap after a collection. An empty store gives the memory that a node takes without keys.
 * Command: npm run build && npx tsx bench/keys-100k.ts
 * Excluded: the network, concurrency (one request at a time), the time to fill the store.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, get as httpGet, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigKey } from '../src/core/key.ts';
import { EmbeddedProvider } from '../src/providers/embedded/embedded-provider.ts';
import { ConfigService } from '../src/server/config-service.ts';
import { startHttpServer } from '../src/server/http-server.ts';
import { milliseconds, writeReport } from './report.ts';
import { median, quantile } from './support/statistics.ts';

const KEYS = 100_000;
const PER_FOLDER = 1_000;
const ROUNDS = 5;
const REQUESTS = 2_000;
const NAMESPACE = 'app/config';

interface Measured {
  readonly readyMs: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly get: Compared;
  readonly list: Compared;
}

/** Milliseconds of requests, sorted. */
interface Compared {
  readonly own: readonly number[];
  /** The same bytes from a bare server. */
  readonly bare: readonly number[];
}

const [role, directory = ''] = process.argv.slice(2);
if (role === 'fill') await fill(directory);
else if (role === 'raw') await reply(rawList(directory));
else if (role === 'node') await reply(node(directory));
else await compare();

async function reply(result: Promise<unknown>): Promise<void> {
  process.stdout.write(JSON.stringify(await result));
}

function run(as: string, folder: string): unknown {
  const output = execFileSync(process.execPath, ['--expose-gc', '--import', 'tsx', import.meta.filename, as, folder], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return output === '' ? undefined : JSON.parse(output);
}

async function fill(folder: string): Promise<void> {
  await using provider = new EmbeddedProvider(folder);
  await provider.open();
  const service = new ConfigService({ provider, namespace: NAMESPACE });
  service.start();
  await service.reached(service.revision);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < KEYS; index = next++) {
      const key = `folder-${Math.floor(index / PER_FOLDER)}/key-${index}` as ConfigKey;
      const valueText = JSON.stringify({ host: `host-${index}.internal`, port: 5_432, note: 'x'.repeat(50) });
      await service.write({ type: 'put', key, condition: {}, body: { form: 'envelope', valueText } });
    }
  };
  await Promise.all(Array.from({ length: 128 }, work));
  await service.close();
}

async function rawList(folder: string): Promise<number> {
  const startedAt = performance.now();
  await using provider = new EmbeddedProvider(folder);
  await provider.open();
  await provider.list(`${NAMESPACE}/`);
  return performance.now() - startedAt;
}

async function node(folder: string): Promise<Measured> {
  const startedAt = performance.now();
  await using provider = new EmbeddedProvider(folder);
  await provider.open();
  const server = await startHttpServer({ provider, namespace: NAMESPACE });
  await server.service.reached(server.service.revision, { deadlineMs: 60_000 });
  const readyMs = performance.now() - startedAt;
  globalThis.gc?.();
  const { heapUsed, rss, arrayBuffers } = process.memoryUsage();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = await timeRequests(agent, `${server.url}/api/v1/configs/folder-42/key-42042`);
  const list = await timeRequests(agent, `${server.url}/api/v1/configs?prefix=folder-42/&limit=100`);
  agent.destroy();
  await server.close();
  return { readyMs, heapBytes: heapUsed + arrayBuffers, rssBytes: rss, get, list };
}

async function timeRequests(agent: Agent, url: string): Promise<Compared> {
  const { body, headers } = await request(agent, url);
  const bareServer = createServer((_request, response) => response.writeHead(200, headers).end(body)).listen(0, '127.0.0.1');
  await once(bareServer, 'listening');
  const bareAgent = new Agent({ keepAlive: true, maxSockets: 1 });
  const bareUrl = `http://127.0.0.1:${(bareServer.address() as AddressInfo).port}/`;
  const own: number[] = [];
  const bare: number[] = [];
  const time = async (times: number[], by: Agent, target: string): Promise<void> => {
    const startedAt = performance.now();
    await request(by, target);
    times.push(performance.now() - startedAt);
  };
  for (let count = 0; count < REQUESTS; count++) {
    await time(own, agent, url);
    await time(bare, bareAgent, bareUrl);
  }
  bareAgent.destroy();
  bareServer.close();
  return { own: own.toSorted((a, b) => a - b), bare: bare.toSorted((a, b) => a - b) };
}

async function request(agent: Agent, url: string): Promise<{ readonly body: Buffer; readonly headers: OutgoingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    httpGet(url, { agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => resolve({ body: Buffer.concat(chunks), headers: response.headers }));
    }).once('error', reject);
  });
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
  const [full, empty] = [join(folder, 'full'), join(folder, 'empty')];
  try {
    run('fill', full);
    const raw: number[] = [];
    const nodes: Measured[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      raw.push(run('raw', full) as number);
      nodes.push(run('node', full) as Measured);
    }
    const without = run('node', empty) as Measured;
    const perKey = (pick: (measured: Measured) => number): number => (median(nodes.map(pick)) - pick(without)) / KEYS;
    const ratio = median(nodes.map(({ readyMs }, round) => readyMs / (raw[round] ?? Number.NaN)));
    const over = (pick: (measured: Measured) => Compared): string => {
      const at = (share: number, whose: 'own' | 'bare'): number => median(nodes.map((measured) => quantile(pick(measured)[whose], share)));
      const times = (whose: 'own' | 'bare'): string => `${milliseconds(at(0.5, whose))} / ${milliseconds(at(0.99, whose))}`;
      return `${times('own')}; bare ${times('bare')} (${(at(0.5, 'own') / at(0.5, 'bare')).toFixed(2)} x)`;
    };
    writeReport({
      name: 'keys-100k',
      title: '100,000 keys on one node, embedded store',
      question: 'What do 100,000 keys cost: time to be ready, memory, a prefix list of 100?',
      method: `The store is filled through the service (100 folders of 1,000 keys, about 100 bytes of JSON each). Medians of ${ROUNDS} rounds, each part in a process of its own, in alternation with the raw list. The times of requests are of ${REQUESTS} sequential ones on one connection, in alternation with a bare node:http server in the same process that answers the same bytes.`,
      command: 'npx tsx bench/keys-100k.ts',
      rows: [
        { what: 'raw list of the same keys from the store (open, list)', value: milliseconds(median(raw)) },
        {
          what: 'node: open to ready to serve',
          value: `${milliseconds(median(nodes.map(({ readyMs }) => readyMs)))} (${ratio.toFixed(2)} x the raw list)`,
        },
        { what: 'heap and buffers per key', value: `${perKey(({ heapBytes }) => heapBytes).toFixed(0)} bytes` },
        { what: 'resident memory per key', value: `${perKey(({ rssBytes }) => rssBytes).toFixed(0)} bytes` },
        { what: 'GET of one item, p50 / p99', value: over(({ get }) => get) },
        { what: 'list of 100 keys, p50 / p99', value: over(({ list }) => list) },
      ],
      notes: [
        'Memory per key is the difference to a node over an empty store. Each key is two entries of the mirror: its value and its sidecar.',
        'A node also joins the history (one commit) and replays up to 4,096 revisions into its window before it is ready; the raw list does neither.',
        'Profiled once (`node --cpu-prof`): half of the start is reading rows from SQLite, a quarter is building the tree of the mirror. Of a list of 100, two thirds are looking up each item in that tree and in the cache of rendered items.',
      ],
      data: {
        raw,
        nodes: nodes.map(({ get, list, ...rest }) => ({ ...rest, get: quantiles(get), list: quantiles(list) })),
        without: { heapBytes: without.heapBytes, rssBytes: without.rssBytes, readyMs: without.readyMs },
      },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function quantiles({ own, bare }: Compared): Readonly<Record<string, number>> {
  return { p50: quantile(own, 0.5), p99: quantile(own, 0.99), bareP50: quantile(bare, 0.5), bareP99: quantile(bare, 0.99) };
}
