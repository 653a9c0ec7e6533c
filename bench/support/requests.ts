import { once } from 'node:events';
import { connect } from 'node:net';
import type { RawAnswer } from './bare-process.ts';

export interface RequestParts {
  readonly method?: 'GET' | 'PUT' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request as it goes over the wire. ASCII. */
export function renderRequest({ method = 'GET', path, headers = {}, body }: RequestParts): string {
  const lines = Object.entries({
    Host: '127.0.0.1',
    ...headers,
    ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The same things asked of each of the three services. */
export const attune = {
  get: (key: string, headers: Readonly<Record<string, string>> = {}): string => renderRequest({ path: `/api/v1/configs/${key}`, headers }),
  put: (key: string, value: unknown): string =>
    renderRequest({
      method: 'PUT',
      path: `/api/v1/configs/${key}`,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ value }),
    }),
  list: (prefix: string, limit: number): string => renderRequest({ path: `/api/v1/configs?prefix=${prefix}&limit=${limit}` }),
};

export const consul = {
  get: (key: string): string => renderRequest({ path: `/v1/kv/${key}` }),
  put: (key: string, value: string): string => renderRequest({ method: 'PUT', path: `/v1/kv/${key}`, body: value }),
  list: (prefix: string): string => renderRequest({ path: `/v1/kv/${prefix}?recurse` }),
  /** Held until the key's index is above this one. */
  wait: (key: string, index: number): string => renderRequest({ path: `/v1/kv/${key}?index=${index}&wait=5m` }),
  putMany: (items: readonly (readonly [string, string])[]): string =>
    renderRequest({
      method: 'PUT',
      path: '/v1/txn',
      body: JSON.stringify(items.map(([key, value]) => ({ KV: { Verb: 'set', Key: key, Value: base64(value) } }))),
    }),
};

/** The JSON gateway of etcd. */
export const etcd = {
  get: (key: string): string => post('/v3/kv/range', { key: base64(key) }),
  put: (key: string, value: string): string => post('/v3/kv/put', { key: base64(key), value: base64(value) }),
  putMany: (items: readonly (readonly [string, string])[]): string =>
    post('/v3/kv/txn', { success: items.map(([key, value]) => ({ requestPut: { key: base64(key), value: base64(value) } })) }),
};

function post(path: string, body: unknown): string {
  return renderRequest({ method: 'POST', path, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

/** One answer with its very bytes; the connection is closed after it. */
export async function askOnce(port: number, request: string): Promise<RawAnswer> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    socket.write(request);
    let text = '';
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString();
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) continue;
      const answer = { head: text.slice(0, end), body: text.slice(end + 4) };
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(answer.head)?.[1] ?? 0);
      if (Buffer.byteLength(answer.body) >= length) return answer;
    }
    throw new Error(`the connection ended before the answer: ${text}`);
  } finally {
    socket.destroy();
  }
}
