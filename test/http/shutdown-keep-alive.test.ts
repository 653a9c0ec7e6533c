import { Agent, request } from 'node:http';
import { expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { startHttpServer } from '../../src/server/http-server.ts';

it('a request that meets the shutdown on a connection kept alive is answered, and the connection then closed', async () => {
  await using provider = new MemoryProvider();
  await provider.open();
  const server = await startHttpServer({ provider, namespace: 'app/config' });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = async (): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      request(`${server.url}/healthz`, { agent }, (response) => {
        response.resume().once('end', () => resolve(response.headers.connection));
      })
        .once('error', reject)
        .end();
    });
  expect(await get()).toBe('keep-alive');
  const closing = server.close();
  expect(await get()).toBe('close');
  await closing;
  agent.destroy();
});
