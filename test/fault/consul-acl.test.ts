import { describe, expect, it } from 'vitest';
import { ConsulProvider } from '../../src/providers/consul/consul-provider.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { consulApi, ConsulSite } from '../support/consul-site.ts';
import { eventually } from '../support/eventually.ts';
import type { StoreServer } from '../support/store-server.ts';

const MASTER = '11111111-1111-1111-1111-111111111111';
const NODE = '22222222-2222-2222-2222-222222222222';
const ACL_ARGS = [`-hcl=acl { enabled = true default_policy = "deny" tokens { master = "${MASTER}" } }`];
const FULL = `key_prefix "${NAMESPACE}/" { policy = "write" } key_prefix "${NAMESPACE}.attune/" { policy = "write" }`;
let policyId = '';

async function grantAll(consul: StoreServer): Promise<{ node: string; direct: string }> {
  await eventually(async () => {
    const body = JSON.stringify({ Name: 'attune', Rules: FULL });
    const policy = (await (await consulApi(consul, 'PUT', '/acl/policy', body, MASTER)).json()) as { ID: string };
    policyId = policy.ID;
  }, 20_000);
  const token = JSON.stringify({ SecretID: NODE, Policies: [{ ID: policyId }] });
  await consulApi(consul, 'PUT', '/acl/token', token, MASTER);
  return { node: NODE, direct: MASTER };
}

async function setRules(consul: StoreServer, rules: string): Promise<void> {
  await consulApi(consul, 'PUT', `/acl/policy/${policyId}`, JSON.stringify({ ID: policyId, Name: 'attune', Rules: rules }), MASTER);
}

/** Eight tools that write as fast as Consul takes it, each its own key. */
function startLoad(consul: StoreServer): AsyncDisposable & { stop(): Promise<ReadonlyMap<string, string>> } {
  const last = new Map<string, string>();
  let isOver = false;
  const writers = Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; !isOver; round++) {
        const value = `round ${round} of ${writer}`;
        await consulApi(consul, 'PUT', `/kv/${NAMESPACE}/load/${writer}`, JSON.stringify(value), MASTER);
        last.set(`load/${writer}`, value);
      }
    }),
  );
  const stop = async (): Promise<ReadonlyMap<string, string>> => {
    isOver = true;
    await writers;
    return last;
  };
  return { stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

describe('rights in Consul that are narrowed and widened', () => {
  it.each([
    ['one key', `${FULL} key "${NAMESPACE}/a/1" { policy = "deny" }`],
    ['a folder', `${FULL} key_prefix "${NAMESPACE}/a/" { policy = "deny" }`],
    ['everything', `key_prefix "elsewhere/" { policy = "read" }`],
  ])('delete nothing on a node: %s', async (_name, narrowed) => {
    await using site = await ConsulSite.start({ args: ACL_ARGS, tokens: grantAll });
    for (const key of ['a/1', 'a/2', 'b/1']) expect((await site.put(key, key)).status).toBe(201);
    const deleted: string[] = [];
    site.node.service.subscribe(
      { keys: [], prefixes: [''] },
      {
        onBatch: (batch) => deleted.push(...batch.derived.filter(({ type }) => type === 'deleted').map(({ key }) => key)),
        onReset: () => deleted.push('reset'),
      },
    );
    await using load = startLoad(site.consul);
    await setRules(site.consul, narrowed);
    await eventually(() => expect(site.node.service.state).toBe('stale'), 20_000);
    expect([...site.items().keys()].filter((key) => !key.startsWith('load/'))).toEqual(['a/1', 'a/2', 'b/1']);
    const ready = await (await fetch(`${site.node.url}/readyz`)).text();
    expect(ready).toMatch(/hides the key|Permission denied/);
    await setRules(site.consul, FULL);
    await site.live(30_000);
    const last = await load.stop();
    await consulApi(site.consul, 'DELETE', `/kv/${NAMESPACE}/a/2`, undefined, MASTER);
    await eventually(() => {
      const items = site.items();
      expect([...items.keys()].filter((key) => !key.startsWith('load/'))).toEqual(['a/1', 'b/1']);
      for (const [key, value] of last) expect(items.get(key)).toContain(value);
    });
    expect(deleted).toEqual(['a/2']);
  });

  it('are told when the store is opened', async () => {
    await using site = await ConsulSite.start({ args: ACL_ARGS, tokens: grantAll });
    for (const [token, code] of [
      ['33333333-3333-3333-3333-333333333333', 'UNAUTHENTICATED'],
      [undefined, 'PERMISSION_DENIED'],
    ] as const) {
      await using provider = new ConsulProvider({ hosts: [site.consul.host], namespace: NAMESPACE, ...(token !== undefined && { token }) });
      await expect(provider.open()).rejects.toMatchObject({ code });
    }
    await setRules(site.consul, `key_prefix "${NAMESPACE}/" { policy = "write" }`);
    await using provider = new ConsulProvider({ hosts: [site.consul.host], namespace: NAMESPACE, token: NODE });
    await eventually(async () => {
      await expect(provider.open()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    }, 20_000);
  });
});
