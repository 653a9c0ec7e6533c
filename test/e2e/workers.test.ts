import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { exchange } from '../support/http-exchange.ts';
import { StoreServer } from '../support/store-server.ts';
import { Cli, startServe, type RunningCli } from './cli-process.ts';

let cli: Cli;
beforeAll(() => {
  cli = Cli.build();
});
afterAll(() => cli[Symbol.dispose]());

const childrenOf = ({ child }: RunningCli): readonly number[] =>
  readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe.each([
  ['etcd', () => StoreServer.startEtcd()],
  ['consul', () => StoreServer.startConsul()],
] as const)('workers over %s', (scheme, start) => {
  it('share one port, answer as one service, are replaced when they crash, and end in order', async () => {
    await using store = await start();
    const { running, url } = await startServe(cli, ['--provider', `${scheme}://${store.host}/app/config`, '--workers', '3']);
    const port = Number(new URL(url).port);
    expect(running.stdout.match(/loopback only/g)).toHaveLength(1);
    expect(running.stdout).toContain('3 workers share the port\n');
    const workers = childrenOf(running);
    expect(workers).toHaveLength(3);

    const ask = (path: string, request: object = {}) => exchange(port, { path, headers: { Connection: 'close' }, ...request });
    const workersSeen = async (): Promise<ReadonlySet<string>> => {
      const { text } = await ask('/metrics');
      return new Set([...text.matchAll(/^attune_live\{worker="(\d)"\} 1$/gm)].map(([, worker = '']) => worker));
    };
    await eventually(async () => expect(await workersSeen()).toEqual(new Set(['1', '2', '3'])), 20_000);

    // Every connection may be with another worker: none shows less than it is asked for.
    for (let round = 0; round < 30; round++) {
      const written = await ask('/api/v1/configs/app/x', {
        method: 'PUT',
        headers: { 'Content-Type': 'application/json', Connection: 'close' },
        body: JSON.stringify({ value: round }),
      });
      expect([200, 201]).toContain(written.status);
      const read = await ask(`/api/v1/configs/app/x?minRevision=${written.header('attune-cursor')}`);
      expect(read.json().value).toBe(round);
    }
    const counted = [...(await ask('/metrics')).text.matchAll(/_duration_seconds_count\{.*method="PUT".*worker="(\d)"\} (\d+)/g)];
    expect(counted.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(30);
    expect(counted.length).toBeGreaterThan(1);

    const [victim = 0] = workers;
    process.kill(victim, 'SIGKILL');
    await eventually(async () => {
      expect(childrenOf(running)).toHaveLength(3);
      expect(childrenOf(running)).not.toContain(victim);
      expect((await workersSeen()).size).toBe(3);
    }, 30_000);
    expect(running.stderr).toContain('a worker ended by itself');
    for (let round = 0; round < 12; round++) expect((await ask('/api/v1/configs/app/x')).json().value).toBe(29);

    const last = childrenOf(running);
    // As a terminal does: to all of them.
    for (const pid of [running.child.pid ?? 0, ...last]) process.kill(pid, 'SIGINT');
    expect((await running.ended).code).toBe(0);
    expect(last.filter(isAlive)).toEqual([]);
  }, 90_000);
});

describe('workers', () => {
  it('end when their primary is killed', async () => {
    await using store = await StoreServer.startEtcd();
    const { running } = await startServe(cli, ['--provider', `etcd://${store.host}/app/config`, '--workers', '2']);
    const workers = childrenOf(running);
    running.kill('SIGKILL');
    await eventually(() => expect(workers.filter(isAlive)).toEqual([]), 20_000);
  });

  it('end at once when their primary is told twice', async () => {
    await using store = await StoreServer.startEtcd();
    const { running, url } = await startServe(cli, ['--provider', `etcd://${store.host}/app/config`, '--workers', '2']);
    const stream = await fetch(`${url}/api/v1/watch`);
    const workers = childrenOf(running);
    running.kill('SIGTERM');
    running.kill('SIGTERM');
    await running.ended;
    await eventually(() => expect(workers.filter(isAlive)).toEqual([]));
    await stream.body?.cancel().catch(() => undefined);
  });

  it.each([
    [
      'embedded:kept',
      'attune: --workers 2 needs a store that several processes can use, etcd:// or consul://; embedded:kept is used by one process\n',
    ],
    ['memory:', 'attune: --workers 2 needs a store that several processes can use, etcd:// or consul://; memory: is used by one process\n'],
  ])('are refused over %s', async (provider, stderr) => {
    expect(await cli.run(['serve', '--port', '0', '--provider', provider, '--workers', '2'])).toEqual({ code: 2, stdout: '', stderr });
  });

  it('that cannot listen say so once', async () => {
    await using store = await StoreServer.startEtcd();
    const provider = `etcd://${store.host}/app/config`;
    const { running, url } = await startServe(cli, ['--provider', provider]);
    const { port } = new URL(url);
    expect(await cli.run(['serve', '--provider', provider, '--port', port, '--workers', '2', '--log-level', 'fatal'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `attune: port ${port} is in use; choose another with --port, or --port 0 for any free one\n`,
    });
    running.kill('SIGTERM');
    await running.ended;
  });
});
