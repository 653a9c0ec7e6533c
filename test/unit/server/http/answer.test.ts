import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { endWith, onWire } from '../../../../src/server/http/answer.ts';

const server = createServer();
afterEach(() => {
  server.removeAllListeners('request');
  server.close();
  server.closeAllConnections();
});

/** What a client gets, and what `end` was called with. */
async function answered(body: string | Buffer, alter: (response: ServerResponse) => ServerResponse = (response) => response) {
  const wire = onWire(body);
  let given: unknown;
  server.on('request', (_request, response: ServerResponse) => {
    const end = vi.spyOn(response, 'end');
    endWith(alter(response.writeHead(200, { 'Content-Length': wire.bytes })), wire.body);
    given = end.mock.calls[0]?.[0];
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return { text: await answer.text(), given };
}

describe('a body', () => {
  it.each(['{"value":"line\\n"}\n', '{"value":"ü 😀"}\n', ''])('that is short goes out with its head: %j', async (body) => {
    expect(await answered(body)).toEqual({ text: body, given: undefined });
  });

  it('that is long goes out by itself', async () => {
    const body = 'ü'.repeat(600);
    expect(await answered(body)).toEqual({ text: body, given: Buffer.from(body) });
  });

  it('goes out where a Node.js keeps its heads elsewhere', async () => {
    const hide = (response: ServerResponse): ServerResponse => {
      const hidden = new Proxy(response, {
        get: (target, name) => {
          const value: unknown = name === '_header' ? undefined : Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return hidden;
    };
    expect(await answered('{"value":"ü"}\n', hide)).toMatchObject({ text: '{"value":"ü"}\n' });
  });
});
