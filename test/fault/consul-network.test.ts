import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isAttuneError, type Revision, type StoredBatch } from '../../src/core/provider.ts';
import { ConsulProvider } from '../../src/providers/consul/consul-provider.ts';
import { collectGarbage } from '../support/collect-garbage.ts';
import { consulApi, ConsulSite } from '../support/consul-site.ts';
import { eventually } from '../support/eventually.ts';
import { StoreServer } from '../support/store-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const encoder = new TextEncoder();
const put = (key: string, value: string) => ({ type: 'put' as const, key, value: encoder.encode(value) });

describe('a watch of Consul', () => {
  it('loses no change and no deletion while its connection is cut again and again under writes', async () => {
    await using consul = await StoreServer.startConsul();
    await using proxy = await TcpProxy.start(() => consul.port);
    await using watched = new ConsulProvider({ hosts: [proxy.host], namespace: 'app' });
    await using direct = new ConsulProvider({ hosts: [consul.host], namespace: 'app' });
    await watched.open();
    const state = new Map<string, number>();
    const batches: StoredBatch[] = [];
    let position: Revision = (await watched.list('app/')).revision;
    let relists = 0;
    const stop = new AbortController();
    const following = (async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const batch of watched.watch('app/', { after: position, signal: stop.signal })) {
            batches.push(batch);
            position = batch.revision;
            for (const change of batch.changes) {
              if (change.type === 'put') state.set(change.entry.key, change.entry.revision);
              else state.delete(change.key);
            }
          }
        } catch (error) {
          if (isAttuneError(error, 'COMPACTED')) relists++;
          else if (!isAttuneError(error, 'UNAVAILABLE')) throw error;
        }
      }
    })();
    const endsAt = performance.now() + 10_000;
    const cutting = (async () => {
      for (let step = 0; performance.now() < endsAt; step++) {
        await sleep(150 + ((step * 67) % 250));
        proxy.reset();
      }
    })();
    let written = 0;
    await Promise.all(
      Array.from({ length: 4 }, async (_, writer) => {
        for (let step = 0; performance.now() < endsAt; step++) {
          const key = `app/writer-${writer}/key-${step % 37}`;
          await direct.commit({ checks: [], operations: [step % 11 === 10 ? { type: 'delete', key } : put(key, String(step))] });
          written++;
        }
      }),
    );
    await cutting;
    const expected = async () => new Map((await direct.list('app/')).entries.map(({ key, revision }) => [key, revision as number]));
    await eventually(async () => expect(state).toEqual(await expected()));
    stop.abort();
    await following;
    expect(relists).toBe(0);
    expect(batches.map(({ revision }) => revision)).toEqual([...new Set(batches.map(({ revision }) => revision))].sort((a, b) => a - b));
    expect(written).toBeGreaterThan(500);
    console.log(`${written} writes to Consul in 10 s`);
  });
});

describe('a node over Consul', () => {
  it('goes on after its store was killed and came back, and after it stood still', async () => {
    await using site = await ConsulSite.start();
    expect((await site.put('a', 1)).status).toBe(201);
    await site.consul.end('SIGKILL');
    await eventually(() => expect(site.node.service.state).toBe('stale'));
    expect((await site.put('a', 2)).status).toBe(503);
    expect((await site.call('a')).body.value).toBe(1);
    await site.consul.start();
    await site.live();
    await eventually(async () => expect((await site.put('a', 3)).status).toBe(200));
    site.consul.freeze();
    const asked = performance.now();
    const refused = await site.put('a', 4);
    expect(refused.status).toBeGreaterThanOrEqual(503);
    expect(performance.now() - asked).toBeLessThan(3_000);
    await eventually(() => expect(site.node.service.state).toBe('stale'), 15_000);
    site.consul.thaw();
    await site.live();
    await eventually(async () => expect((await site.put('a', 5)).status).toBe(200));
    expect((await site.call('a')).body.value).toBe(5);
  });

  it('follows its address into a fresh cluster into which a backup was restored', async () => {
    await using site = await ConsulSite.start();
    await site.put('kept', 1);
    const backup = Buffer.from(await (await consulApi(site.consul, 'GET', '/snapshot')).arrayBuffer());
    const old = await site.put('kept', 2);
    await site.put('lost', 1);
    const { epoch } = site.node.service;
    await using fresh = await StoreServer.startConsul();
    await consulApi(fresh, 'PUT', '/snapshot', backup);
    site.moveTo(fresh);
    await eventually(() => expect([site.node.service.state, site.node.service.epoch === epoch]).toEqual(['live', false]), 20_000);
    expect([...site.items().keys()]).toEqual(['kept']);
    expect((await site.call('kept')).body.value).toBe(1);
    expect((await site.put('kept', 3, { 'if-match': `"${old.body.etag}"` })).status).toBe(412);
    await eventually(async () => expect((await site.put('kept', 3)).status).toBe(200));
  });

  it('sees what the service was restored from as another history', async () => {
    await using site = await ConsulSite.start();
    await site.put('kept', 1);
    const backup = Buffer.from(await (await consulApi(site.consul, 'GET', '/snapshot')).arrayBuffer());
    const old = await site.put('kept', 2);
    await site.put('lost', 1);
    const epoch = site.node.service.epoch;
    await consulApi(site.consul, 'PUT', '/snapshot', backup);
    await eventually(() => expect([site.node.service.state, site.node.service.epoch === epoch]).toEqual(['live', false]), 20_000);
    await eventually(() => expect([...site.items().keys()]).toEqual(['kept']));
    expect((await site.call('kept')).body.value).toBe(1);
    expect((await site.put('kept', 3, { 'if-match': `"${old.body.etag}"` })).status).toBe(412);
    expect((await site.put('kept', 3)).status).toBe(200);
  });
});

describe('commits of large values to Consul', () => {
  it('leave little behind: what is remembered for the next write is bounded in bytes', async () => {
    await using consul = await StoreServer.startConsul();
    await using provider = new ConsulProvider({ hosts: [consul.host], namespace: 'app' });
    await provider.open();
    const commit = async (index: number): Promise<unknown> =>
      provider.commit({ checks: [], operations: [put(`app.attune/history/${index}`, 'x'.repeat(200_000))] });
    await commit(0);
    const held = (): number => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const before = held();
    for (let index = 1; index <= 200; index++) await commit(index);
    // Of 40 MB written. What sockets have read is given back a moment later.
    await eventually(() => expect(held() - before).toBeLessThan(16 * 1024 * 1024));
  });
});

describe('a commit to Consul whose reply is lost', () => {
  it('is told as unknown, is applied once, and is never sent again', async () => {
    await using consul = await StoreServer.startConsul();
    await using proxy = await TcpProxy.start(() => consul.port);
    await using provider = new ConsulProvider({ hosts: [proxy.host], namespace: 'app' });
    await provider.open();
    const first = await provider.commit({ checks: [], operations: [put('app/a', 'one')] });
    for (const checks of [[{ key: 'app/a', revision: first }], []]) {
      proxy.resetAfter(0);
      await expect(provider.commit({ checks, operations: [put('app/a', 'two')] })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
      const { entries } = await provider.read(['app/a']);
      expect(Buffer.from(entries[0]?.value ?? []).toString()).toBe('two');
    }
  });

  it('is not sent to the next agent, which would apply it again', async () => {
    await using consul = await StoreServer.startConsul();
    await using proxy = await TcpProxy.start(() => consul.port);
    await using next = await TcpProxy.start(() => consul.port);
    await using provider = new ConsulProvider({ hosts: [proxy.host, next.host], namespace: 'app' });
    await provider.open();
    await provider.commit({ checks: [], operations: [put('app/a', 'one')] });
    proxy.resetAfter(0);
    await expect(provider.commit({ checks: [], operations: [put('app/a', 'two')] })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    // Not by the index, which Consul raises for matters of its own as well.
    expect(next.acceptedAt).toEqual([]);
    const { entries } = await provider.read(['app/a']);
    expect(Buffer.from(entries[0]?.value ?? []).toString()).toBe('two');
  });

  it('is certainly not applied where nobody listens', async () => {
    await using provider = new ConsulProvider({ hosts: ['127.0.0.1:1'], namespace: 'app' });
    await expect(provider.commit({ checks: [], operations: [put('app/a', 'x')] })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
