/*
 * Question: how long does the import of a large real configuration take while 200 streams watch, and how soon does each change reach them?
 * Method: the service over the embedded store (fsync on) is a process of its own, 200 event streams of everything are read by another, `attune import
 * package-lock.json` is a third. The service's process notes when the store's commit of each revision returned, when the answer to its PUT was
 * handed to the socket, and when a bare watch of the same store, with nothing behind it, was told of it; the reader notes when each stream had the frame. All by
 * the machine's monotonic clock. Baselines in the same run: the same import without streams; the bare watch. 3 rounds, each on a fresh store; medians
 * of rounds.
 * Command: npm run build && npx tsx bench/import-lockfile.ts
 * Excluded: the network. Service, readers and importer share the machine's cores, so the readers' own work is part of the times.
 */
import { spawn, fork, type ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { get, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Revision } from '../src/core/provider.ts';
import { EmbeddedProvider } from '../src/providers/embedded/embedded-provider.ts';
import { startHttpServer } from '../src/server/http-server.ts';
import { milliseconds, writeReport } from './report.ts';
import { median, quantile } from './support/statistics.ts';

const STREAMS = 200;
const ROUNDS = 3;
const FILE = 'package-lock.json';
const NAMESPACE = 'app/config';

/** Milliseconds of the monotonic clock, by revision. */
type Times = Readonly<Record<number, number>>;

interface ServerTimes {
  readonly committed: Times;
  readonly acknowledged: Times;
  readonly watched: Times;
}

interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface Round {
  readonly importMs: number;
  readonly changes: number;
  readonly committedToBareWatch: Delays;
}

interface Watched extends Round {
  readonly committedToStream: Delays;
  readonly acknowledgedToStream: Delays;
}

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

const [role, argument = ''] = process.argv.slice(2);
if (role === 'serve') await serve(argument);
else if (role === 'read') read(argument);
else await measure();

/** Serves a new store in `folder`; tells its URL, and when asked what it has noted. */
async function serve(folder: string): Promise<void> {
  const committed: Record<number, number> = {};
  const acknowledged: Record<number, number> = {};
  const watched: Record<number, number> = {};
  const provider = new EmbeddedProvider(folder);
  await provider.open();
  const commit = provider.commit.bind(provider);
  provider.commit = async (...call) => {
    const revision = await commit(...call);
    committed[revision] = now();
    return revision;
  };
  subscribe('http.server.response.finish', (message) => {
    const { response } = message as { readonly response: ServerResponse };
    const revision = /-(\d+)"$/.exec(String(response.getHeader('etag')))?.[1];
    if (revision !== undefined) acknowledged[Number(revision)] = now();
  });
  const server = await startHttpServer({ provider, namespace: NAMESPACE });
  process.on('message', () => process.send?.({ committed, acknowledged, watched } satisfies ServerTimes));
  process.send?.(server.url);
  for await (const { revision } of provider.watch(`${NAMESPACE}/`, { after: 0 as Revision, signal: new AbortController().signal }))
    watched[revision] = now();
}

/** Reads all streams; tells when they are open, and when asked how long after the times given each of them had each change. */
function read(url: string): void {
  const arrivals: Map<number, number>[] = [];
  let opened = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    const seen = new Map<number, number>();
    arrivals.push(seen);
    get(`${url}/api/v1/watch`, { agent: false }, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const at = now();
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          if (block.includes('event: synced') && ++opened === STREAMS) process.send?.('open');
          if (block.includes('event: change')) seen.set(Number(/^id: \w+-(\d+)/m.exec(block)?.[1]), at);
        }
      });
    });
  }
  process.on('message', ({ committed, acknowledged }: ServerTimes) => {
    const revisions = Object.keys(acknowledged).map(Number);
    const deadline = performance.now() + 30_000;
    const check = setInterval(() => {
      if (arrivals.some((seen) => seen.size < revisions.length) && performance.now() < deadline) return;
      clearInterval(check);
      // NaN where a stream was not told: it makes the round fail.
      const since = (times: Times): Delays =>
        summarize(arrivals.flatMap((seen) => revisions.map((revision) => (seen.get(revision) ?? Number.NaN) - (times[revision] ?? 0))));
      process.send?.({ committedToStream: since(committed), acknowledgedToStream: since(acknowledged) }, () => process.exit());
    }, 10);
  });
}

function summarize(delays: readonly number[]): Delays {
  if (delays.some(Number.isNaN)) throw new Error('a stream was not told of a change');
  const sorted = Float64Array.from(delays).sort();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN };
}

function start(as: string, argument: string): ChildProcess {
  return fork(import.meta.filename, [as, argument], { execArgv: ['--import', 'tsx'] });
}

async function ask<Answer>(child: ChildProcess, question: unknown): Promise<Answer> {
  child.send(question as object);
  const [answer] = (await once(child, 'message')) as [Answer];
  return answer;
}

/** Runs one import on a fresh store. */
async function importOnce(withStreams: boolean): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
  const server = start('serve', folder);
  try {
    const [url] = (await once(server, 'message')) as [string];
    const reader = withStreams ? start('read', url) : undefined;
    if (reader) await once(reader, 'message');
    const startedAt = now();
    const importer = spawn(process.execPath, ['dist/cli/main.js', 'import', FILE, '--prefix', 'lock/', '--url', url], { stdio: 'ignore' });
    const [code] = (await once(importer, 'exit')) as [number];
    const importMs = now() - startedAt;
    if (code !== 0) throw new Error(`the import ended with ${code}`);
    const times = await ask<ServerTimes>(server, 'times');
    const revisions = Object.keys(times.acknowledged).map(Number);
    const committedToBareWatch = summarize(
      revisions.map((revision) => (times.watched[revision] ?? Number.NaN) - (times.committed[revision] ?? 0)),
    );
    const result = { importMs, changes: revisions.length, committedToBareWatch };
    return reader ? { ...result, ...(await ask<Pick<Watched, 'committedToStream' | 'acknowledgedToStream'>>(reader, times)) } : result;
  } finally {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    rmSync(folder, { recursive: true });
  }
}

async function measure(): Promise<void> {
  const alone: Round[] = [];
  const watched: Watched[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    alone.push(await importOnce(false));
    watched.push((await importOnce(true)) as Watched);
  }
  const changes = watched[0]?.changes ?? 0;
  const over = (delays: readonly Delays[]): string =>
    (['p50', 'p99', 'max'] as const).map((part) => milliseconds(median(delays.map((round) => round[part])))).join(' / ');
  writeReport({
    name: 'import-lockfile',
    title: 'Import of a lock file while 200 streams watch',
    question: `How long does the import of this project's own package-lock.json (${statSync(FILE).size} bytes, ${changes} keys) take, and how soon does each change reach ${STREAMS} streams?`,
    method: `The service over the embedded store, the reader of all streams and \`attune import\` are three processes on one machine; times by its monotonic clock. Committed: the store's commit returned, the change is durable. Acknowledged: the answer to the PUT was handed to the socket. Bare watch: a watch of the same store in the same process, with nothing behind it. Medians of ${ROUNDS} rounds, each on a fresh store, in alternation with the same import without streams.`,
    command: 'npm run build && npx tsx bench/import-lockfile.ts',
    rows: [
      { what: `import of ${changes} keys, nobody watching`, value: milliseconds(median(alone.map(({ importMs }) => importMs))) },
      {
        what: `import of ${changes} keys, ${STREAMS} streams watching`,
        value: milliseconds(median(watched.map(({ importMs }) => importMs))),
      },
      { what: 'events delivered, every one to every stream', value: String(changes * STREAMS) },
      {
        what: 'committed to bare watch, nobody else watching, p50 / p99 / longest',
        value: over(alone.map(({ committedToBareWatch }) => committedToBareWatch)),
      },
      {
        what: 'committed to bare watch, 200 streams watching, p50 / p99 / longest',
        value: over(watched.map(({ committedToBareWatch }) => committedToBareWatch)),
      },
      {
        what: 'committed to seen by a stream, p50 / p99 / longest',
        value: over(watched.map(({ committedToStream }) => committedToStream)),
      },
      {
        what: 'acknowledged to seen by a stream, p50 / p99 / longest',
        value: over(watched.map(({ acknowledgedToStream }) => acknowledgedToStream)),
      },
    ],
    notes: [
      'The import keeps 32 writes under way; they, the 200 readers and the service share the cores, which is most of what the delays show.',
      'One commit makes up to 32 writes durable at once; each of them is then told to every stream in turn, so that the last of a group waits for the fan-out of the others. The bare watch stands in the same queue.',
      'A node answers a write when its own mirror shows it, which is when it tells the streams.',
      'A round in which a stream misses a change fails the run.',
      'Profiled once (`node --cpu-prof`, 200 streams): of the time in which the service works, 39 % goes into writing frames to streams (a third of that into asking sockets for room), 21 % into handing them to the kernel, 15 % into the PUTs, 5 % into commits, 4 % into garbage. With nobody watching the import command itself is the slowest part: about 1.6 ms of processor time a write, nearly all of it in `fetch`.',
    ],
    data: { alone, watched },
  });
}
