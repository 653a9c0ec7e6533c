import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { exchange } from '../support/http-exchange.ts';
import { NodeProcess } from '../support/node-process.ts';
import { StoreServer } from '../support/store-server.ts';
import { CERTIFICATES, TlsProxy } from '../support/tls-proxy.ts';

const { ca, client, clientKey } = CERTIFICATES;
const STORES = [
  { scheme: 'etcds', start: () => StoreServer.startEtcd() },
  { scheme: 'consuls', start: () => StoreServer.startConsul() },
] as const;

/** Why the node is not ready. */
async function reasonOf(node: NodeProcess): Promise<string> {
  const { checks } = (await exchange(node.port, { path: '/readyz' })).json() as { checks: readonly { name: string; detail: string }[] };
  return checks.find(({ name }) => name === 'loaded')?.detail ?? '';
}

describe.each(STORES)('a provider URL with $scheme', ({ scheme, start }) => {
  it('follows and writes the store over TLS, with an authority and a client certificate from files', async () => {
    await using store = await start();
    await using door = await TlsProxy.start(store.port);
    const args = ['--store-ca-file', ca, '--store-cert-file', client, '--store-key-file', clientKey];
    await using node = await NodeProcess.over(`${scheme}://${door.host}/app/config`, { args });
    await eventually(async () => expect((await exchange(node.port, { path: '/readyz' })).status).toBe(200));
    const request = { method: 'PUT', path: '/api/v1/configs/a?raw', headers: { 'Content-Type': 'application/json' }, body: '1' };
    expect((await exchange(node.port, request)).status).toBe(201);
    expect((await exchange(node.port, { path: '/api/v1/configs/a?raw&consistency=strong' })).text).toBe('1');
  });

  it('says why it is not ready if the authority is not known, or the client shows no certificate', async () => {
    await using store = await start();
    await using door = await TlsProxy.start(store.port);
    await using stranger = await NodeProcess.over(`${scheme}://${door.host}/app/config`);
    expect(await reasonOf(stranger)).toMatch(/certificate/i);
    await using bare = await NodeProcess.over(`${scheme}://${door.host}/app/config`, { args: ['--store-ca-file', ca] });
    expect(await reasonOf(bare)).toContain(`at ${door.host}`);
  });
});
