/*
 * Question: what does a read cost above what node:http itself costs?
 * Method: a node (embedded store, settings as by default) and a bare node:http server that sends the same bytes and headers, each in a process of its
 * own. 32 keep-alive connections, one request at a time on each, rounds in alternation; before them one of each that does not count. The load is
 * made by a third process: raw sockets and a count of bytes, no HTTP client. On two cores it takes one and the server under load the other, so the
 * processor time of the server per request is told beside requests per second: it does not depend on who else is running.
 * Command: npm run build && npx tsx bench/hot-path.ts [--rounds 9] [--seconds 2] [--only 'GET item'] [--profile]
 * Excluded: the network, TLS, parsing of the answers. Processor time is read from /proc, in steps of 10 ms.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { median } from './report.ts';

const CONNECTIONS = 32;
const PATH = '/api/v1/configs/checkout/pool-size';

interface Target {
  readonly child: ChildProcess;
  readonly port: number;
}

interface Sample {
  readonly perSecond: number;
  /** Processor time of the server per request. Microseconds. */
  readonly cpu: number;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    profile: { type: 'boolean', default: false },
  },
});
const [role, argument = ''] = positionals;
if (role === 'bare') await serveBare(argument);
else await compare();

/** The fastest way node:http has: a flat list of headers and the body at once. */
async function serveBare(answer: string): Promise<void> {
  const { status, headers, body } = JSON.parse(answer) as { status: number; headers: string[]; body: string };
  process.once('SIGTERM', () => process.exit());
  const server = createServer({ keepAliveTimeout: 65_000 }, (_request, response) => {
    response.writeHead(status, headers);
    if (body === '') response.end();
    else response.end(body, 'latin1');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
}

/** Starts a program that prints its URL. */
async function start(name: string, program: readonly string[]): Promise<Target> {
  const profile = options.profile ? ['--cpu-prof', '--cpu-prof-dir=.cache/hot-path', `--cpu-prof-name=${name}.cpuprofile`] : [];
  const child = spawn(process.execPath, [...profile, ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface(child.stdout)) {
    const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return { child, port: Number(port) };
  }
  throw new Error(`${name} did not start`);
}

async function stop({ child }: Target): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Processor time used so far, user and system, in microseconds. */
function usage({ child }: Target): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Requests of one round. Every answer has the length of the first. */
async function load(port: number, request: Buffer, seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1_000;
  const { length } = await ask(port, request);
  const counts = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const socket = connect(port, '127.0.0.1').setNoDelay(true);
      let count = 0;
      let missing = length;
      socket.on('data', (chunk) => {
        missing -= chunk.length;
        if (missing > 0) return;
        if (missing < 0) throw new Error('an answer is longer than the first');
        count++;
        missing = length;
        if (performance.now() < until) socket.write(request);
        else socket.destroy();
      });
      socket.write(request);
      await once(socket, 'close');
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function ask(port: number, request: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return chunk.toString('latin1');
}

async function measure(target: Target, request: Buffer, seconds: number): Promise<Sample> {
  const [startedAt, before] = [performance.now(), usage(target)];
  const count = await load(target.port, request, seconds);
  const elapsed = performance.now() - startedAt;
  return { perSecond: (count / elapsed) * 1_000, cpu: (usage(target) - before) / count };
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
  const attune = await start('attune', ['dist/cli/main.js', 'serve', '--port', '0', '--data-dir', folder]);
  const host = `Host: 127.0.0.1:${attune.port}\r\n`;
  const value = '{"value":{"min":2,"max":20,"idleTimeout":"30s"}}';
  const get = (path: string, headers = ''): Buffer => Buffer.from(`GET ${path} HTTP/1.1\r\n${host}${headers}\r\n`);
  await ask(
    attune.port,
    Buffer.from(`PUT ${PATH} HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: ${value.length}\r\n\r\n${value}`),
  );
  const etag = /^ETag: (.*)$/m.exec(await ask(attune.port, get(PATH)))?.[1]?.trim() ?? '';
  try {
    for (const [name, request] of [
      ['GET item', get(PATH)],
      ['GET item, 304', get(PATH, `If-None-Match: ${etag}\r\n`)],
      ['GET item?raw', get(`${PATH}?raw`)],
      ['GET /healthz', get('/healthz')],
      ['GET item, by Express', get(`${PATH}?raw=true`)],
    ] as const) {
      if (options.only === '' || options.only === name) await compareOne(name, request, attune);
    }
  } finally {
    await stop(attune);
    rmSync(folder, { recursive: true });
  }
}

async function compareOne(name: string, request: Buffer, attune: Target): Promise<void> {
  const [head = '', body = ''] = (await ask(attune.port, request)).split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  // What node:http adds by itself.
  const headers = lines
    .filter((line) => !/^(Date|Connection|Keep-Alive):/i.test(line))
    .flatMap((line) => line.split(/: (.*)/s).slice(0, 2));
  const answer = JSON.stringify({ status: Number(statusLine.split(' ')[1]), headers, body });
  const bare = await start('bare', ['--import', 'tsx', import.meta.filename, 'bare', answer]);
  const own: Sample[] = [];
  const plain: Sample[] = [];
  for (let round = -1; round < Number(options.rounds); round++) {
    const samples = [
      await measure(attune, request, Number(options.seconds)),
      await measure(bare, request, Number(options.seconds)),
    ] as const;
    if (round < 0) continue;
    own.push(samples[0]);
    plain.push(samples[1]);
  }
  await stop(bare);
  const ratios = own.map(({ perSecond }, round) => perSecond / (plain[round]?.perSecond ?? Number.NaN));
  const cpu = own.map((sample, round) => (plain[round]?.cpu ?? Number.NaN) / sample.cpu);
  const show = (samples: readonly Sample[]): string =>
    `${Math.round(median(samples.map(({ perSecond }) => perSecond)))}/s, ${median(samples.map((sample) => sample.cpu)).toFixed(1)} us of CPU`;
  const range = (values: readonly number[]): string =>
    `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
  console.log(`${name}: attune ${show(own)}; bare ${show(plain)}; of bare ${range(ratios)} by requests, ${range(cpu)} by CPU`);
}
