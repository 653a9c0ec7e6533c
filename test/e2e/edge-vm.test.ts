import { EdgeVM } from '@edge-runtime/vm';
import { expect, it } from 'vitest';

import { bundleScript } from '../../scripts/bundle-client.ts';
import { HttpService } from '../support/http-service.ts';

/** What an edge function does; its last value is a promise of what it saw. */
const program = (url: string): string => `
  (async () => {
    const config = await attune.ConfigClient.connect({ url: '${url}', prefix: 'app/' });
    const seen = [config.get('app/size')];
    const outside = new Promise((resolve) => config.watch('app/size', resolve));
    await fetch('${url}/api/v1/configs/app/size', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"value":20}',
    });
    seen.push(await outside);
    await config.set('app/size', 30);
    seen.push(config.get('app/size'));
    await config.set('app/size', 40, { ifVersion: 0 }).catch((error) => seen.push(attune.isAttuneError(error, 'CONFLICT')));
    await config.close();
    return JSON.stringify([...seen, config.status.state, typeof process, typeof Buffer]);
  })()
`;

it('the client runs where there is neither process nor Buffer: connects, reads, watches, writes, closes', async () => {
  await using service = await HttpService.start();
  await service.set('app/size', 10);
  const vm = new EdgeVM();
  vm.evaluate(await bundleScript('src/client/index.ts', 'attune'));
  const seen = await vm.evaluate<Promise<string>>(program(service.url));
  expect(JSON.parse(seen)).toEqual([10, 20, 30, true, 'closed', 'undefined', 'undefined']);
  await expect.poll(() => service.server.streams.size).toBe(0);
});

it('attune-client/testing runs there too', async () => {
  const vm = new EdgeVM();
  vm.evaluate(await bundleScript('src/client/testing/index.ts', 'testing'));
  const seen = await vm.evaluate<Promise<string>>(`
    (async () => {
      const config = await testing.createTestConfig({ values: { size: 10 }, onError: () => undefined });
      const seen = [config.client.get('size')];
      config.client.watch('size', (value) => seen.push(value));
      await config.set('size', 20);
      await config.goOffline();
      await config.set('size', 30);
      await config.goOnline();
      await config.client.set('size', 40);
      await config.close();
      return JSON.stringify([...seen, config.client.status.state]);
    })()
  `);
  expect(JSON.parse(seen)).toEqual([10, 20, 30, 40, 'closed']);
});
