import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { onWire } from '../../../../src/server/http/answer.ts';
import { endWith, HeaderLines, writeHead } from '../../../../src/server/http/head-text.ts';

const server = createServer();
afterEach(() => {
  server.removeAllListeners('request');
  server.close();
  server.closeAllConnections();
});

/** What a client gets when `answer` answers. */
async function answered(answer: (response: ServerResponse) => void): Promise<Response> {
  server.on('request', (_request, response: ServerResponse) => answer(response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

describe('a body', () => {
  async function sent(body: string, ...how: [boolean?]) {
    const wire = onWire(body);
    let given: unknown;
    const answer = await answered((response) => {
      const end = vi.spyOn(response, 'end');
      endWith(response.writeHead(200, { 'Content-Length': wire.bytes }), wire.body, ...how);
      given = end.mock.calls[0]?.[0];
    });
    return { text: await answer.text(), given };
  }

  it.each(['{"value":"line\\n"}\n', '{"value":"ü 😀"}\n', ''])('that is short goes out with its head: %j', async (body) => {
    expect(await sent(body)).toEqual({ text: body, given: undefined });
  });

  it('that is long goes out by itself', async () => {
    const body = 'ü'.repeat(600);
    expect(await sent(body)).toEqual({ text: body, given: Buffer.from(body) });
  });

  it('goes out by itself where a Node.js keeps its heads elsewhere', async () => {
    expect(await sent('{"value":"ü"}\n', false)).toMatchObject({
      text: '{"value":"ü"}\n',
      given: Buffer.from('{"value":"ü"}\n').toString('latin1'),
    });
  });
});

describe('a head', () => {
  it.each([true, false])('holds what Node.js looked at and what was looked at before, be it text: %j', async (keepsHeadText) => {
    const lines = [new HeaderLines({ 'X-One': 'a: b', 'X-Two': 'ü' }), new HeaderLines({ ETag: '"e-1"' }), new HeaderLines({})];
    const answer = await answered((response) => {
      writeHead(response, 200, { first: ['X-Request-Id', 'r-1'], lines, rest: ['Content-Length', '2'] }, keepsHeadText);
      endWith(response, 'ok', keepsHeadText);
    });
    expect(Object.fromEntries(answer.headers)).toEqual({
      'x-request-id': 'r-1',
      'content-length': '2',
      'x-one': 'a: b',
      'x-two': 'ü',
      etag: '"e-1"',
      date: expect.any(String),
      connection: 'keep-alive',
      'keep-alive': 'timeout=5',
    });
    expect(await answer.text()).toBe('ok');
  });

  it.each(['a\r\nSet-Cookie: b', 'a\nb', '\u0000', '日本'])('takes no value that would make another one of it: %j', (value) => {
    expect(() => new HeaderLines({ 'X-One': value })).toThrow(TypeError);
  });
});
