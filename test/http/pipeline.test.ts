import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigKey } from '../../src/core/key.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { ConfigService } from '../../src/server/config-service.ts';
import { eventually } from '../support/eventually.ts';
import { Side } from '../support/hot-and-slow.ts';
import { sendBytes } from '../support/http-exchange.ts';

/*
 * Requests sent one after the other on one connection, without waiting for the answers, are carried out one after the other: a read sees what was written
 * before it, whether the write is answered before Express or by it (RFC 9112, 9.3.2).
 */

const provider = new MemoryProvider();
const service = new ConfigService({ provider, namespace: 'app/config' });
let isDraining = false;
const settings = { isDraining: () => isDraining };
const sides = { 'before Express': new Side(service, settings, true), 'by Express': new Side(service, settings, false) };

beforeAll(async () => {
  await provider.open();
  service.start();
  await service.reached(service.revision);
  for (const side of Object.values(sides)) await side.listen();
});

afterAll(async () => {
  for (const side of Object.values(sides)) side[Symbol.dispose]();
  await service.close();
  await provider.close();
});

function request(method: string, path: string, body?: string, ...headers: readonly string[]): string {
  const framing = body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`];
  return [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...framing, ...headers, '', body ?? ''].join('\r\n');
}

const KEY = '/api/v1/configs/pipelined';

async function statuses(side: Side, requests: readonly string[]): Promise<readonly number[]> {
  const answered = (await sendBytes(side.port, requests.join(''))).toString();
  return [...answered.matchAll(/^HTTP\/1\.1 (\d+) /gm)].map(([, status]) => Number(status));
}

describe.each(Object.keys(sides) as (keyof typeof sides)[])('a pipeline of writes answered %s', (name) => {
  const side = sides[name];

  it('is carried out in its order', async () => {
    for (let round = 0; round < 30; round++) {
      const sent = [
        request('PUT', KEY, '{"value":1}'),
        request('GET', KEY),
        request('DELETE', KEY),
        request('GET', KEY),
        request('PUT', `${KEY}?ifVersion=0`, '{"value":2}'),
        request('DELETE', KEY, undefined, 'Connection: close'),
      ];
      expect(await statuses(side, sent)).toEqual([201, 200, 204, 404, 201, 204]);
    }
  });

  it('changes nothing behind an answer that ends the connection, as those of a server that shuts down do', async () => {
    isDraining = true;
    expect(await statuses(side, [request('GET', KEY), request('PUT', KEY, '{"value":1}')])).toEqual([404]);
    isDraining = false;
    await answerAnother(side);
    expect(service.get('pipelined' as ConfigKey)).toBeUndefined();
  });

  it('changes nothing where the client goes before its turn has come', async () => {
    const socket = connect(side.port, '127.0.0.1');
    socket.write(request('GET', `${KEY}?watch&wait=60s`) + request('PUT', KEY, '{"value":1}'));
    await eventually(() => expect(side.polls.size).toBe(1));
    await answerAnother(side);
    socket.destroy();
    await eventually(() => expect(side.polls.size).toBe(0));
    await answerAnother(side);
    expect(service.get('pipelined' as ConfigKey)).toBeUndefined();
  });
});

/** By then whatever the server was sent before has been begun, and a write into memory is done. */
async function answerAnother(side: Side): Promise<void> {
  for (const value of [1, 2]) {
    const put = request('PUT', '/api/v1/configs/another', JSON.stringify({ value }), 'Connection: close');
    expect(await statuses(side, [put])).toEqual([expect.any(Number)]);
  }
}
