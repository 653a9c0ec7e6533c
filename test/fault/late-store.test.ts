import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { NodeProcess } from '../support/node-process.ts';
import { StoreServer } from '../support/store-server.ts';

interface Readiness {
  readonly status: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

const ask = async (node: NodeProcess, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${node.url}${path}`, { headers: { 'Content-Type': 'application/json' }, ...init, signal: AbortSignal.timeout(10_000) });

const isReady = (node: NodeProcess) => async () => expect((await ask(node, '/readyz')).status).toBe(200);

async function withStoppedEtcd(): Promise<StoreServer> {
  const etcd = await StoreServer.startEtcd();
  await etcd.end();
  return etcd;
}

const STORES = [
  { scheme: 'etcd', start: () => StoreServer.startEtcd() },
  { scheme: 'consul', start: () => StoreServer.startConsul() },
] as const;

describe('a service whose store cannot be reached when it starts', () => {
  it.each(STORES)(
    'listens, says why it is not ready, refuses within 3 s, and is live by itself once the store is there: $scheme',
    async ({ scheme, start }) => {
      await using store = await start();
      await store.end();
      await using node = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
      expect(node.stdout).toContain(`${scheme} ${store.host} app/config (not reached yet, trying again)`);
      expect((await ask(node, '/healthz')).status).toBe(200);

      const readiness = await ask(node, '/readyz');
      expect(readiness.status).toBe(503);
      const loaded = ((await readiness.json()) as Readiness).checks.find(({ name }) => name === 'loaded');
      expect(loaded).toMatchObject({ ok: false, detail: expect.stringContaining(`at ${store.host}`) });

      const refused: [string, RequestInit][] = [
        ['/api/v1/configs/a', {}],
        ['/api/v1/configs', {}],
        ['/api/v1/configs/a?consistency=strong', {}],
        ['/api/v1/configs/a', { method: 'PUT', body: '{"value":1}' }],
        ['/api/v1/configs/a', { method: 'DELETE' }],
      ];
      for (const [path, init] of refused) {
        const asked = performance.now();
        const answer = await ask(node, path, init);
        expect([path, answer.status]).toEqual([path, 503]);
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
        expect(((await answer.json()) as { code: string }).code).toMatch(/^(NOT_READY|UNAVAILABLE)$/);
        expect(performance.now() - asked).toBeLessThan(3_000);
      }
      const status = (await (await ask(node, '/api/v1/status')).json()) as Record<string, unknown>;
      expect(status).toMatchObject({ state: 'connecting', store: { provider: scheme, hosts: [store.host], namespace: 'app/config' } });

      await store.start();
      await eventually(isReady(node), 15_000);
      expect((await ask(node, '/api/v1/configs/a', { method: 'PUT', body: '{"value":1}' })).status).toBe(201);
      expect(await (await ask(node, '/api/v1/configs/a?raw')).text()).toBe('1');
      expect(await node.end('SIGTERM')).toBe(0);
    },
  );

  it('tells a stream that comes too early to come back, and serves it then', async () => {
    await using etcd = await withStoppedEtcd();
    await using node = await NodeProcess.over(`etcd://${etcd.host}/app/config`);
    const early = await ask(node, '/api/v1/watch');
    expect([early.status, early.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/event-stream')]);
    expect(await early.text()).toContain('event: goaway');
    await etcd.start();
    await eventually(isReady(node), 15_000);
    const stream = await ask(node, '/api/v1/watch?snapshot');
    const { value } = (await stream.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toContain(': attune: watching');
  });

  it('ends in order on SIGTERM while it waits', async () => {
    await using etcd = await withStoppedEtcd();
    await using node = await NodeProcess.over(`etcd://${etcd.host}`);
    const asked = performance.now();
    expect(await node.end('SIGTERM')).toBe(0);
    expect(performance.now() - asked).toBeLessThan(5_000);
  });

  it('is bound by time where the store takes connections and answers nothing', async () => {
    await using etcd = await StoreServer.startEtcd();
    etcd.freeze();
    const begun = performance.now();
    await using node = await NodeProcess.over(`etcd://${etcd.host}`);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect((await ask(node, '/readyz')).status).toBe(503);
    etcd.thaw();
    await eventually(isReady(node), 15_000);
  });

  it('reaches a second host where the first one is gone', async () => {
    await using gone = await withStoppedEtcd();
    await using etcd = await StoreServer.startEtcd();
    await using node = await NodeProcess.over(`etcd://${gone.host},${etcd.host}/app/config`);
    expect(node.stdout).toContain(`etcd ${gone.host},${etcd.host} app/config  http`);
    await eventually(isReady(node), 5_000);
  });
});

describe('a store that refuses', () => {
  /** Users and roles are on; `root` has the password `tOpSecret`, `reader` may only read. */
  async function secure(etcd: StoreServer): Promise<void> {
    const call = async (path: string, body: unknown): Promise<void> => {
      const answer = await fetch(`${etcd.url}/v3/auth/${path}`, { method: 'POST', body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
    };
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    await call('user/add', { name: 'root', password: 'tOpSecret' });
    await call('user/grant', { user: 'root', role: 'root' });
    await call('role/add', { name: 'reading' });
    await call('role/grant', { name: 'reading', perm: { permType: 'READ', key: base64('app/'), range_end: base64('app0') } });
    await call('user/add', { name: 'reader', password: 'tOpSecret' });
    await call('user/grant', { user: 'reader', role: 'reading' });
    await call('enable', {});
  }

  it.each([
    ['a wrong password', 'etcd://root@HOST/app/config', { ATTUNE_STORE_PASSWORD: 'wrOng' }, /authentication failed/],
    ['no user', 'etcd://HOST/app/config', {}, /wants a user and a password, and none is given/],
    ['a user who may not write', 'etcd://reader:tOpSecret@HOST/app/config', {}, /permission denied.*the user needs a role/],
  ] as const)('ends the start with code 5 and the reason: %s', async (_what, url, env, reason) => {
    await using etcd = await StoreServer.startEtcd();
    await secure(etcd);
    const start = NodeProcess.over(url.replace('HOST', etcd.host), { env });
    await expect(start).rejects.toThrow(/^attune serve ended with 5: /);
    await expect(start).rejects.toThrow(reason);
    await expect(start).rejects.not.toThrow(/tOpSecret|wrOng/);
  });

  it('ends a service that had to wait for it, too', async () => {
    await using etcd = await StoreServer.startEtcd();
    await secure(etcd);
    await etcd.end();
    await using node = await NodeProcess.over(`etcd://root:wrOng@${etcd.host}/app/config`);
    expect((await ask(node, '/readyz')).status).toBe(503);
    await etcd.start();
    expect(await node.ended()).toBe(5);
    expect(node.stderr).toContain('authentication failed');
    expect(node.stdout + node.stderr).not.toContain('wrOng');
  });

  it('is entered with a user in the URL or a password in a file, shown nowhere', async () => {
    await using etcd = await StoreServer.startEtcd();
    await secure(etcd);
    const url = `etcd://root:tOpSecret@${etcd.host}/app/config`;
    await using node = await NodeProcess.over(url, { args: ['--log-level', 'trace'] });
    await eventually(isReady(node), 5_000);
    const bodies = await Promise.all(
      ['/readyz', '/api/v1/status', '/metrics', '/', '/api/v1/configs/absent'].map(async (path) => (await ask(node, path)).text()),
    );
    await etcd.end();
    await eventually(async () => expect(await (await ask(node, '/api/v1/status')).text()).toContain('"stale"'), 15_000);
    bodies.push(await (await ask(node, '/readyz')).text());
    bodies.push(await (await ask(node, '/api/v1/configs/a', { method: 'PUT', body: '{"value":1}' })).text());
    // Whatever is still to be logged of the failures.
    await sleep(200);
    expect(await node.end('SIGTERM')).toBe(0);
    expect([...bodies, node.stdout, node.stderr].join('\n')).not.toContain('tOpSecret');
  });

  describe('Consul with ACLs', () => {
    const token = '5d1f0c6e-3d7b-4b0e-9a43-0c5d9c1f2a77';
    const secured = async (): Promise<StoreServer> =>
      StoreServer.startConsul({ args: [`-hcl=acl { enabled = true default_policy = "deny" tokens { master = "${token}" } }`] });

    it.each([
      ['an unknown token', { ATTUNE_STORE_TOKEN: '00000000-1111-2222-3333-444444444444' }],
      ['no token', {}],
    ])('ends the start with code 5 and the reason: %s', async (_what, env) => {
      await using consul = await secured();
      const start = NodeProcess.over(`consul://${consul.host}/app/config`, { env });
      await expect(start).rejects.toThrow(/^attune serve ended with 5: (?:.*\n)*attune: .*Consul/);
      await expect(start).rejects.not.toThrow(/00000000-1111/);
    });

    it('is entered with a token, shown nowhere', async () => {
      await using consul = await secured();
      const env = { ATTUNE_STORE_TOKEN: token };
      await using node = await NodeProcess.over(`consul://${consul.host}/app/config`, { env, args: ['--log-level', 'trace'] });
      await eventually(isReady(node), 10_000);
      const paths = ['/readyz', '/api/v1/status', '/metrics', '/', '/api/v1/configs/absent'];
      const bodies = await Promise.all(paths.map(async (path) => (await ask(node, path)).text()));
      await consul.end();
      await eventually(async () => expect(await (await ask(node, '/api/v1/status')).text()).toContain('"stale"'), 15_000);
      bodies.push(await (await ask(node, '/readyz')).text());
      expect(await node.end('SIGTERM')).toBe(0);
      expect([...bodies, node.stdout, node.stderr].join('\n')).not.toContain(token);
    });
  });
});
