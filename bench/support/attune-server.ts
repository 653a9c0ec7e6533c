import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './bench.ts';
import { pinTo } from './processor.ts';
import { ServerProcess } from './server-process.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/cli/main.js');
/** Lets the bench ask a server that runs as built for a collection, and for its memory after it. */
const COLLECTOR = `process.on('SIGUSR2', () => { gc(); gc(); console.error('bench-memory ' + JSON.stringify(process.memoryUsage())); });`;

/** Lets the bench ask how long the event loop was held up at most since it last asked. */
const DELAY_METER = `import { monitorEventLoopDelay } from 'node:perf_hooks';
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on('SIGUSR2', () => { console.error('bench-delay ' + delay.max / 1e6 + '.'); delay.reset(); });`;
const imported = (program: string): readonly string[] => ['--import', `data:text/javascript,${encodeURIComponent(program)}`];

export interface AttuneOptions {
  /** Arguments of `attune serve` beside the port. Default: an embedded store in a fresh folder, all other settings as they are. */
  readonly args?: readonly string[];
  readonly canCollect?: boolean;
  readonly metersDelay?: boolean;
}

/** Starts the server under test as it was built last in this checkout, with its default settings; owned by the bench. Resolves when it is ready. */
export async function startAttune(
  bench: Bench,
  { args, canCollect = false, metersDelay = false }: AttuneOptions = {},
): Promise<ServerProcess> {
  await access(PROGRAM).catch(() => {
    throw new Error(`${PROGRAM} is not there; run npm run build first`);
  });
  const words = args ?? ['--data-dir', join(await bench.folder(), 'data')];
  const nodeArguments = [
    ...bench.profileArguments(),
    ...(canCollect ? ['--expose-gc', ...imported(COLLECTOR)] : []),
    ...(metersDelay ? imported(DELAY_METER) : []),
  ];
  const server = await bench.own(
    ServerProcess.start({
      title: 'attune serve',
      command: [...pinTo('server', bench.options.isPinned), process.execPath, ...nodeArguments, PROGRAM, 'serve', '--port', '0', ...words],
      banner: /http:\/\/127\.0\.0\.1:(\d+)/,
      startMs: 60_000,
      endsGently: bench.options.profile !== undefined,
    }),
  );
  await untilReady(server);
  return server;
}

/** Resolves when `/readyz` says so. */
async function untilReady(server: ServerProcess, withinMs = 120_000): Promise<void> {
  for (const deadline = performance.now() + withinMs; ;) {
    if ((await fetch(`${server.url}/readyz`)).ok) return;
    if (performance.now() > deadline) throw new Error(`attune serve is not ready after ${withinMs} ms`);
    await sleep(10);
  }
}

export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

/** Memory of a server started with `canCollect`, after a collection. */
export async function collectedMemory(server: ServerProcess): Promise<Memory> {
  const [, json = ''] = await server.ask('SIGUSR2', /bench-memory (\{.*\})\n/);
  return JSON.parse(json) as Memory;
}

/** The longest delay of the event loop since this was last asked, of a server started with `metersDelay`. Milliseconds, its timer's own one included. */
export async function longestDelay(server: ServerProcess): Promise<number> {
  const [, text] = await server.ask('SIGUSR2', /bench-delay ([\d.]+)\.\n/);
  return Number(text);
}

/** A figure of `/metrics` by its exact name. */
export async function metricOf(server: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  if (line === undefined) throw new Error(`/metrics has no ${name}`);
  return Number(line.slice(name.length + 1));
}
