/*
 * Question: what does a node over Consul cost that mirrors 20,000 keys, 100 writes a second going to one of them by another tool?
 * Method: a real Consul on loopback is filled by transactions; one node (a process of its own, as built) with one SSE stream on that key. Another
 * process, this one, writes the key 100 times a second for 20 s; processor time of the node and of Consul over that time from /proc, delay from the
 * write's answer to the stream's event that carries it or a later one. The same with 20 keys, in the same run, for comparison.
 * Command: npm run build && npx tsx bench/consul-20k.ts
 * Excluded: the network between node and Consul; Consul with several servers.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpStream } from '../test/support/http-stream.ts';
import { NodeProcess } from '../test/support/node-process.ts';
import { StoreServer } from '../test/support/store-server.ts';
import { milliseconds, writeReport, type Row } from './report.ts';
import { quantile } from './support/statistics.ts';

const SECONDS = 20;
const PER_SECOND = 100;
const SIZES = [20, 20_000];
/** Clock ticks of Linux, as /proc counts. */
const TICKS_PER_SECOND = 100;

interface Measured {
  readonly nodeCores: number;
  readonly consulCores: number;
  /** Milliseconds, sorted. */
  readonly delays: readonly number[];
  readonly events: number;
  readonly writes: number;
}

interface StreamEvent {
  readonly event: string;
  readonly data: { readonly changes: readonly { readonly newValue: unknown }[] };
}

function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function fill(store: StoreServer, keys: number): Promise<void> {
  for (let start = 0; start < keys; start += 60) {
    const operations = Array.from({ length: Math.min(60, keys - start) }, (_, offset) => ({
      KV: {
        Verb: 'set',
        Key: `app/config/folder-${Math.floor((start + offset) / 100)}/key-${start + offset}`,
        Value: Buffer.from(JSON.stringify({ name: `value ${start + offset}`, enabled: true, limit: 100, note: 'x'.repeat(40) })).toString(
          'base64',
        ),
      },
    }));
    const answer = await fetch(`${store.url}/v1/txn`, { method: 'PUT', body: JSON.stringify(operations) });
    if (!answer.ok) throw new Error(`Consul: ${answer.status} ${await answer.text()}`);
  }
}

async function measure(keys: number): Promise<Measured> {
  await using store = await StoreServer.startConsul();
  await fill(store, keys);
  await using node = await NodeProcess.over(`consul://${store.host}/app/config`);
  while (!(await fetch(`${node.url}/readyz`)).ok) await sleep(50);
  const stream = await HttpStream.open(node.port, { path: '/api/v1/watch?key=hot' });
  const sentAt: number[] = [];
  const delays: number[] = [];
  let events = 0;
  let told = -1;
  const listening = (async () => {
    while (told < SECONDS * PER_SECOND - 1) {
      const { event, data } = (await stream.event()) as StreamEvent;
      if (event !== 'change') continue;
      events++;
      const now = performance.now();
      const newest = Number(data.changes.at(-1)?.newValue);
      for (let index = told + 1; index <= newest; index++) delays.push(now - (sentAt[index] ?? now));
      told = newest;
    }
  })();
  const before = [processorSeconds(node.pid), processorSeconds(store.pid)] as const;
  const start = performance.now();
  for (let index = 0; index < SECONDS * PER_SECOND; index++) {
    await sleep(Math.max(0, start + (index * 1_000) / PER_SECOND - performance.now()));
    await fetch(`${store.url}/v1/kv/app/config/hot`, { method: 'PUT', body: String(index) });
    sentAt[index] = performance.now();
  }
  const seconds = (performance.now() - start) / 1_000;
  const [nodeCores, consulCores] = [
    (processorSeconds(node.pid) - before[0]) / seconds,
    (processorSeconds(store.pid) - before[1]) / seconds,
  ];
  await Promise.race([
    listening,
    sleep(30_000).then(() => {
      throw new Error(`the last value did not arrive within 30 s, only ${told}`);
    }),
  ]);
  stream.close();
  return { nodeCores, consulCores, delays: delays.toSorted((a, b) => a - b), events, writes: SECONDS * PER_SECOND };
}

const results: Record<string, Measured> = {};
const rows: Row[] = [];
for (const keys of SIZES) {
  const result = await measure(keys);
  const { nodeCores, consulCores, delays, events, writes } = result;
  const name = `${keys.toLocaleString('en')} keys`;
  results[name] = result;
  rows.push(
    { what: `${name}: processor time of the node`, value: `${Math.round(nodeCores * 100)} % of a core` },
    { what: `${name}: processor time of Consul`, value: `${Math.round(consulCores * 100)} % of a core` },
    { what: `${name}: events told for ${writes} writes`, value: String(events) },
    {
      what: `${name}: write to stream, p50 / p99 / longest`,
      value: [0.5, 0.99, 1].map((share) => milliseconds(quantile(delays, share))).join(' / '),
    },
  );
}
writeReport({
  name: 'consul-20k',
  title: '20,000 keys on Consul, 100 writes a second to one of them',
  question: 'What does a node cost whose store sends the whole prefix again at every change?',
  method: `Real Consul on loopback; one node as built, a process of its own, with one stream; another tool writes one key ${PER_SECOND} times a second for ${SECONDS} s. Processor time from /proc over that time. Delay: from the answer to the write to the event that carries it or a later one.`,
  command: 'npm run build && npx tsx bench/consul-20k.ts',
  rows,
  notes: [
    'Versions between two lists are merged; the event says so with `gap`.',
    'The node waits after each list as long as reading and comparing it cost, over 0.3: with many keys changes come together instead of taking the core.',
  ],
  data: results,
});
