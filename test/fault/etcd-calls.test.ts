import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Revision } from '../../src/core/provider.ts';
import { EtcdProvider } from '../../src/providers/etcd/etcd-provider.ts';
import { until } from '../support/cluster.ts';
import { EtcdBench, put } from '../support/etcd-bench.ts';
import { etcdLog } from '../support/etcd-history.ts';
import { etcdctl } from '../support/etcd-tools.ts';
import { StoreServer } from '../support/store-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

let server: StoreServer;

beforeAll(async () => {
  server = await StoreServer.startEtcd();
}, 120_000);

afterAll(async () => server[Symbol.asyncDispose]());

/** A server that takes connections and is silent, as one behind a broken network. */
async function silentServer(): Promise<{ readonly host: string; readonly server: Server } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  return {
    host: `127.0.0.1:${(silent.address() as AddressInfo).port}`,
    server: silent,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    },
  };
}

async function timed(call: Promise<unknown>): Promise<{ readonly failure: unknown; readonly tookMs: number }> {
  const start = performance.now();
  const failure = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { failure, tookMs: performance.now() - start };
}

describe('a write to etcd whose reply is lost', () => {
  it.each([
    ['a put', false],
    ['a compare-and-set', true],
  ])('%s is told as unknown and applied once', async (_name, isConditional) => {
    await using bench = await EtcdBench.start(server);
    const key = `${bench.prefix}a`;
    const before = await bench.put('a', 'before');
    await bench.viaProxy.head(bench.prefix);
    bench.proxy.pause('toClient');
    const commit = timed(
      bench.viaProxy.commit({ checks: isConditional ? [{ key, revision: before }] : [], operations: [put(key, 'mine')] }),
    );
    const revisionOf = async (): Promise<Revision | undefined> => (await bench.direct.read([key])).entries[0]?.revision;
    while ((await revisionOf()) === before) await new Promise((resolve) => setTimeout(resolve, 5));
    const applied = await revisionOf();
    bench.proxy.reset();
    bench.proxy.resume('toClient');
    expect((await commit).failure).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    // A second try would be seen by now: the next call of the same connection is answered.
    await bench.viaProxy.head(bench.prefix).catch(() => undefined);
    const last = await bench.put('marker', '');
    expect(last).toBe((applied ?? 0) + 1);
    const log = await etcdLog(server, last, before + 1);
    expect([...log.values()].flat().filter((operation) => operation.key === key)).toHaveLength(1);
  });

  it('is told as unavailable if etcd was never reached', async () => {
    const provider = new EtcdProvider({ hosts: ['127.0.0.1:1'], namespace: 'a' });
    const { failure, tookMs } = await timed(provider.commit({ checks: [], operations: [put('a/b', 'c')] }));
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('127.0.0.1:1') });
    expect(tookMs).toBeLessThan(2_000);
    await provider.close();
  });
});

describe('a call of etcd that is not answered', () => {
  it('ends by its deadline, a read as unavailable, a write that was sent as unknown', async () => {
    await using bench = await EtcdBench.start(server);
    await bench.viaProxy.head(bench.prefix);
    bench.proxy.pause('toClient');
    const [read, write, list] = await Promise.all([
      timed(bench.viaProxy.read([`${bench.prefix}a`], { deadlineMs: 300 })),
      timed(bench.viaProxy.commit({ checks: [], operations: [put(`${bench.prefix}a`, 'b')] }, { deadlineMs: 300 })),
      timed(bench.viaProxy.list(bench.prefix, { deadlineMs: 300 })),
    ]);
    expect(read.failure).toMatchObject({ code: 'UNAVAILABLE' });
    expect(list.failure).toMatchObject({ code: 'UNAVAILABLE' });
    expect(write.failure).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    for (const { tookMs } of [read, write, list]) expect(tookMs).toBeLessThan(1_500);
    bench.proxy.reset();
  });

  it('ends by its deadline where nobody speaks at all, a write as certainly not applied', async () => {
    await using silent = await silentServer();
    const provider = new EtcdProvider({ hosts: [silent.host], namespace: 'a' });
    const [open, write] = await Promise.all([
      timed(provider.open({ deadlineMs: 400 })),
      timed(provider.commit({ checks: [], operations: [put('a/b', 'c')] }, { deadlineMs: 400 })),
    ]);
    expect(open.failure).toMatchObject({ code: 'UNAVAILABLE' });
    expect(write.failure).toMatchObject({ code: 'UNAVAILABLE' });
    for (const { tookMs } of [open, write]) expect(tookMs).toBeLessThan(1_500);
    await provider.close();
  });

  it('ends at once when it is aborted, a write as unknown', async () => {
    await using bench = await EtcdBench.start(server);
    await bench.viaProxy.head(bench.prefix);
    bench.proxy.pause('toClient');
    const stop = new AbortController();
    const { signal } = stop;
    const calls = [
      timed(bench.viaProxy.read([`${bench.prefix}a`], { signal })),
      timed(bench.viaProxy.list(bench.prefix, { signal })),
      timed(bench.viaProxy.open({ signal })),
      timed(bench.viaProxy.commit({ checks: [], operations: [put(`${bench.prefix}a`, 'b')] }, { signal })),
    ];
    setTimeout(() => stop.abort(new Error('no longer wanted')), 50);
    const [read, list, open, write] = await Promise.all(calls);
    for (const call of [read, list, open]) expect(call?.failure).toMatchObject({ message: 'no longer wanted' });
    expect(write?.failure).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    for (const call of [read, list, open, write]) expect(call?.tookMs).toBeLessThan(500);
    expect(await timed(bench.viaProxy.read(['a'], { signal }))).toMatchObject({ failure: { message: 'no longer wanted' } });
    bench.proxy.reset();
  });
});

describe('a list of etcd', () => {
  it('of 12 MiB comes whole, at one revision, while keys change', async () => {
    await using bench = await EtcdBench.start(server);
    const value = Buffer.alloc(30_000, 'x');
    for (let page = 0; page < 20; page++) {
      const operations = Array.from({ length: 20 }, (_, index) =>
        put(`${bench.prefix}${String(page * 20 + index).padStart(3, '0')}`, value),
      );
      await bench.direct.commit({ checks: [], operations });
    }
    const before = await bench.put('a counter', '0');
    let isListing = true;
    const writing = (async () => {
      // Both before and behind what was read, together.
      for (let round = 1; isListing; round++) {
        const text = String(round);
        await bench.direct.commit({ checks: [], operations: [put(`${bench.prefix}000`, text), put(`${bench.prefix}399`, text)] });
      }
    })();
    for (let lists = 0; lists < 5; lists++) {
      const { revision, entries } = await bench.viaProxy.list(bench.prefix);
      expect(entries).toHaveLength(401);
      expect(entries.reduce((sum, entry) => sum + entry.value.byteLength, 0)).toBeGreaterThan(11 * 1024 * 1024);
      const valueOf = (name: string): string => Buffer.from(entries.find(({ key }) => key === bench.prefix + name)?.value ?? []).toString();
      expect(valueOf('000')).toBe(valueOf('399'));
      expect(revision).toBeGreaterThanOrEqual(before);
      for (const entry of entries) expect(entry.revision).toBeLessThanOrEqual(revision);
    }
    isListing = false;
    await writing;
  });

  it('of one page of more than 4 MiB comes whole', async () => {
    await using bench = await EtcdBench.start(server);
    for (let index = 0; index < 6; index++) await bench.put(`big/${index}`, Buffer.alloc(1024 * 1024, index));
    expect((await bench.viaProxy.list(bench.prefix)).entries.map(({ value }) => value.byteLength)).toEqual(Array(6).fill(1024 * 1024));
  });
});

describe('keys that other tools put into etcd', () => {
  it('that are no UTF-8, or hold NUL, stay two where they are two, in lists, watches and deletions', async () => {
    await using bench = await EtcdBench.start(server);
    const names = [Buffer.of(0xff), Buffer.of(0xfe), Buffer.of(0xc3), Buffer.from('\ufffd'), Buffer.from('a\0b'), Buffer.from('\0')];
    const keys = names.map((name) => Buffer.concat([Buffer.from(bench.prefix), name]));
    const start = await bench.direct.head(bench.prefix);
    // No argument of a program can hold them: etcd's own gateway is sent them.
    const call = async (method: string, body: object): Promise<void> => {
      const answer = await fetch(`${server.url}/v3/kv/${method}`, { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).toBe(200);
    };
    for (const [index, key] of keys.entries()) {
      await call('put', { key: key.toString('base64'), value: Buffer.from(`${index}`).toString('base64') });
    }
    const { entries } = await bench.viaProxy.list(bench.prefix);
    expect(new Set(entries.map(({ key }) => key)).size).toBe(keys.length);
    expect(entries.map(({ value }) => Buffer.from(value).toString()).sort()).toEqual(['0', '1', '2', '3', '4', '5']);
    for (const key of keys) await call('deleterange', { key: key.toString('base64') });
    const stop = new AbortController();
    const told: string[][] = [];
    for await (const { changes } of bench.viaProxy.watch(bench.prefix, { after: start, signal: stop.signal })) {
      told.push(changes.map((change) => (change.type === 'put' ? change.entry.key : change.key)));
      if (told.length === 2 * keys.length) break;
    }
    const puts = told.slice(0, keys.length).flat();
    expect(new Set(puts)).toEqual(new Set(entries.map(({ key }) => key)));
    expect(told.slice(keys.length).flat()).toEqual(puts);
    expect((await bench.viaProxy.list(bench.prefix)).entries).toEqual([]);
  });

  it('are read as etcdctl put them', async () => {
    await using bench = await EtcdBench.start(server);
    await etcdctl(server, 'put', `${bench.prefix}käse/é`, '{"a":1}');
    expect((await bench.viaProxy.list(bench.prefix)).entries).toMatchObject([{ key: `${bench.prefix}käse/é` }]);
  });
});

describe('after close', () => {
  it('no socket is left, whatever was going on', async () => {
    await using bench = await EtcdBench.start(server);
    const provider = new EtcdProvider({ hosts: [bench.proxy.host], namespace: bench.namespace });
    await provider.open();
    const stop = new AbortController();
    const watch = provider.watch(bench.prefix, { after: await provider.head(bench.prefix), signal: stop.signal });
    const iterator = watch[Symbol.asyncIterator]();
    const next = timed(iterator.next());
    await bench.put('a', 'b');
    await next;
    const pending = timed(iterator.next());
    bench.proxy.pause('toClient');
    const calls = [
      timed(provider.list(bench.prefix)),
      timed(provider.head(bench.prefix)),
      timed(provider.commit({ checks: [], operations: [put(`${bench.prefix}c`, 'd')] })),
    ];
    await new Promise((resolve) => setTimeout(resolve, 50));
    await provider.close();
    const [list, head, write] = await Promise.all(calls);
    expect(list?.failure).toMatchObject({ code: 'CLOSED' });
    expect(head?.failure).toMatchObject({ code: 'CLOSED' });
    expect(write?.failure).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect((await pending).failure).toMatchObject({ code: 'CLOSED' });
    for (const call of [list, head, write]) expect(call?.tookMs).toBeLessThan(1_000);
    bench.proxy.resume('toClient');
    await until('the sockets to be closed', () => bench.proxy.connections === 0, 2_000);
  });

  it.each(['reached', 'refused', 'silent', 'frozen'])('nothing keeps the process alive where etcd is %s', async (how) => {
    await using silent = await silentServer();
    await using proxy = await TcpProxy.start(() => server.port);
    const host = { reached: server.host, refused: '127.0.0.1:1', silent: silent.host, frozen: proxy.host }[how] ?? '';
    const program = fileURLToPath(new URL('../support/etcd-closing-program.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', program, host], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    let closedAt = 0;
    const exit = once(child, 'exit');
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.endsWith('freeze\n')) {
        if (how === 'frozen') proxy.pause('toClient');
        child.stdin.end();
      }
      if (output.endsWith('closed\n')) closedAt = performance.now();
    });
    expect(await exit).toEqual([0, null]);
    expect(output).toBe('freeze\nclosed\n');
    expect(performance.now() - closedAt).toBeLessThan(1_500);
  });
});
