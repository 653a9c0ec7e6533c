/*
 * Question: how long does the import of a large real configuration take while 200 streams watch, and how soon does each change reach them?
 * Method: `attune serve` (embedded store, fsync on) is a process of its own; 200 event streams of everything are read by another; `attune import
 * package-lock.json` is a third. Every change carries the time at which the node decided it (to the millisecond, before it is written to disk); its
 * arrival at each stream is timed by the same machine's clock. Baseline in the same run: the same import without streams. 3 rounds, each on a
 * fresh store; medians of rounds.
 * Command: npm run build && npx tsx bench/import-lockfile.ts
 * Excluded: the network. Server, readers and importer share the machine's cores, so the readers' own work is part of the times.
 */
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { median, milliseconds, quantile, writeReport } from './report.ts';

const STREAMS = 200;
const ROUNDS = 3;
const CLI = 'dist/cli/main.js';
const FILE = 'package-lock.json';

interface Arrivals {
  readonly changes: number;
  readonly complete: boolean;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

if (process.argv[2] === 'read') read(process.argv[3] ?? '');
else await measure();

/** Reads all streams; tells the parent when they are open, and when asked what came. */
function read(url: string): void {
  const delays: number[] = [];
  const counts: number[] = [];
  let opened = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    counts.push(0);
    get(`${url}/api/v1/watch`, { agent: false }, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const now = performance.timeOrigin + performance.now();
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          if (block.includes('event: synced') && ++opened === STREAMS) process.send?.('open');
          if (!block.includes('event: change')) continue;
          counts[stream] = (counts[stream] ?? 0) + 1;
          const decidedAt = /"timestamp":"([^"]+)"/.exec(block)?.[1];
          if (decidedAt !== undefined) delays.push(now - Date.parse(decidedAt));
        }
      });
    });
  }
  process.on('message', (changes: number) => {
    const deadline = performance.now() + 20_000;
    const check = setInterval(() => {
      const complete = counts.every((count) => count === changes);
      if (!complete && performance.now() < deadline) return;
      clearInterval(check);
      const sorted = Float64Array.from(delays).sort();
      const result: Arrivals = {
        changes,
        complete,
        p50: quantile(sorted, 0.5),
        p99: quantile(sorted, 0.99),
        max: sorted.at(-1) ?? Number.NaN,
      };
      process.send?.(result, () => process.exit());
    }, 10);
  });
}

async function startNode(folder: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [CLI, 'serve', '--data-dir', folder, '--port', '0', '--log-level', 'silent'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [banner] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, url: /http:\/\/\S+/.exec(banner)?.[0] ?? '' };
}

/** Runs one import on a fresh store and returns its milliseconds, and what the streams saw if there are any. */
async function importOnce(withStreams: boolean): Promise<{ importMs: number; arrivals: Arrivals | undefined }> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
  const { child, url } = await startNode(folder);
  try {
    const reader = withStreams ? fork(import.meta.filename, ['read', url], { execArgv: ['--import', 'tsx'] }) : undefined;
    if (reader) await once(reader, 'message');
    const startedAt = performance.now();
    const importer = spawn(process.execPath, [CLI, 'import', FILE, '--prefix', 'lock/', '--url', url], { stdio: 'ignore' });
    const [code] = (await once(importer, 'exit')) as [number];
    const importMs = performance.now() - startedAt;
    if (code !== 0) throw new Error(`the import ended with ${code}`);
    if (!reader) return { importMs, arrivals: undefined };
    const status = (await (await fetch(`${url}/api/v1/status`)).json()) as { keys: number };
    reader.send(status.keys);
    const [arrivals] = (await once(reader, 'message')) as [Arrivals];
    return { importMs, arrivals };
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  }
}

async function measure(): Promise<void> {
  const alone: number[] = [];
  const watched: { importMs: number; arrivals: Arrivals }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    alone.push((await importOnce(false)).importMs);
    const { importMs, arrivals } = await importOnce(true);
    if (!arrivals?.complete) throw new Error('a stream did not see every change');
    watched.push({ importMs, arrivals });
  }
  const changes = watched[0]?.arrivals.changes ?? 0;
  const of = (pick: (arrivals: Arrivals) => number): string => milliseconds(median(watched.map(({ arrivals }) => pick(arrivals))));
  const bytes = execFileSync('wc', ['-c', FILE], { encoding: 'utf8' }).split(' ')[0] ?? '';
  writeReport({
    name: 'import-lockfile',
    title: 'Import of a lock file while 200 streams watch',
    question: `How long does the import of this project's own package-lock.json (${bytes} bytes, ${changes} keys) take, and how soon does each change reach ${STREAMS} streams?`,
    method: `Server, reader of all streams and \`attune import\` are three processes on one machine. A change's delay runs from the node's decision (the event's timestamp, before the write to disk, to the millisecond) to its arrival at a stream. Medians of ${ROUNDS} rounds, each on a fresh store, in alternation with the same import without streams.`,
    command: 'npx tsx bench/import-lockfile.ts',
    rows: [
      { what: `import of ${changes} keys, nobody watching`, value: milliseconds(median(alone)) },
      {
        what: `import of ${changes} keys, ${STREAMS} streams watching`,
        value: milliseconds(median(watched.map(({ importMs }) => importMs))),
      },
      { what: 'events delivered, every one to every stream', value: String(changes * STREAMS) },
      { what: 'decision to arrival, p50', value: of(({ p50 }) => p50) },
      { what: 'decision to arrival, p99', value: of(({ p99 }) => p99) },
      { what: 'decision to arrival, longest', value: of(({ max }) => max) },
    ],
    notes: [
      'The import keeps 32 writes under way; all of them, the 200 readers and the server share the cores, which is what the delays show.',
      'A round in which a stream misses a change fails the run.',
    ],
    data: { alone, watched },
  });
}
