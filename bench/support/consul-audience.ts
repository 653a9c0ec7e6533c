import { WITHIN_MS, type Audience } from './audience.ts';
import type { Bench } from './bench.ts';
import { LoadProcess } from './load/load-process.ts';
import { askOnce, consul } from './requests.ts';
import { startConsul } from './stores.ts';

/** As many blocking queries of Consul on one key, held again after each change. */
export async function consulAudience(bench: Bench, count: number): Promise<Audience> {
  const key = 'bench/blocking-query';
  const load = await LoadProcess.start(bench);
  const { port, pid } = await startConsul(bench);
  await askOnce(port, consul.put(key, 'begin'));
  await load.do('open', { port, count, requests: [], withinMs: WITHIN_MS });
  return {
    pid,
    load,
    prepare: async () => {
      const { head } = await askOnce(port, consul.get(key));
      await load.do('send', { request: consul.wait(key, Number(/\r\nx-consul-index: (\d+)/i.exec(head)?.[1])) });
    },
    change: (value) => ({ port, request: consul.put(key, value), marker: Buffer.from(value).toString('base64').replaceAll('=', '') }),
  };
}
