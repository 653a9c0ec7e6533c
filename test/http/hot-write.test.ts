import { connect } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Random } from '../../src/conformance/random.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { ConfigService } from '../../src/server/config-service.ts';
import { eventually } from '../support/eventually.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { expectSameRecords, Side, withoutMadeUp } from '../support/hot-and-slow.ts';
import { IS_LONG, seededRandom } from '../support/seed.ts';

/*
 * Two nodes with a store of their own each, one with the hot path and one without: they are sent the same writes, and answer, store, count and log the
 * same. Only the date, the ids that a server makes up and the name of the history differ.
 */

const ROUNDS = IS_LONG ? 10_000 : 600;
const MAX_VALUE_BYTES = 2_000;
const withoutEpoch = (text: string): string => text.replaceAll(/[0-9a-f]{16}(?=-\d)/g, 'EPOCH');

/** A node of its own, behind a store that can fail. */
class Node implements AsyncDisposable {
  readonly store = new MemoryProvider();
  readonly provider = new FaultyProvider(this.store);
  readonly service = new ConfigService({
    provider: this.provider,
    namespace: 'app/config',
    now: () => 1_800_000_000_000,
    maxValueBytes: MAX_VALUE_BYTES,
  });
  readonly side: Side;

  isDraining = false;

  private constructor(isHot: boolean) {
    this.side = new Side(this.service, { isDraining: () => this.isDraining }, isHot);
  }

  static async start(isHot: boolean): Promise<Node> {
    const node = new Node(isHot);
    await node.side.listen();
    await node.provider.open();
    node.service.start();
    await node.service.reached(node.service.revision);
    return node;
  }

  /** What is answered to `request`, which may hold `EPOCH` for the name of this node's history. */
  async answer(request: Buffer): Promise<string> {
    const epoch = this.service.cursor.split('-')[0] ?? '';
    const text = request.toString('latin1').replaceAll('EPOCH', epoch);
    return withoutEpoch(await this.side.answer(Buffer.from(text, 'latin1')));
  }

  /** Everything that is stored, but for ids and the name of the history. */
  async stored(): Promise<readonly string[]> {
    const { entries } = await this.store.list('');
    return entries.map(
      ({ key, value, revision }) =>
        `${key} ${revision} ${
          key.includes('system/')
            ? '*'
            : Buffer.from(value)
                .toString('latin1')
                .replaceAll(/"writeId":"[^"]*"/g, '')
        }`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.side[Symbol.dispose]();
    await this.service.close();
    await this.provider.close();
  }
}

class Nodes implements AsyncDisposable {
  readonly hot: Node;
  readonly slow: Node;

  private constructor(hot: Node, slow: Node) {
    this.hot = hot;
    this.slow = slow;
  }

  static async start(): Promise<Nodes> {
    return new Nodes(await Node.start(true), await Node.start(false));
  }

  async compare(request: Buffer): Promise<string> {
    const [hot, slow] = await Promise.all([this.hot.answer(request), this.slow.answer(request)]);
    if (hot !== slow) expect({ sent: request.toString('latin1'), answer: hot }).toEqual({ sent: expect.any(String), answer: slow });
    return hot;
  }

  async compareRest(): Promise<void> {
    expect(await this.hot.stored()).toEqual(await this.slow.stored());
    await expectSameRecords(this.hot.side, this.slow.side);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hot[Symbol.asyncDispose]();
    await this.slow[Symbol.asyncDispose]();
  }
}

const JSON_BODY = 'Content-Type: application/json';

const PATHS = [
  'a',
  'b/c',
  'b/d%20e',
  'gr%C3%BC%C3%9Fe',
  'a?pretty',
  'a?raw',
  'a?ifVersion=3',
  'a?colour=red',
  '..',
  '.attune/x',
  '%ff',
  '',
  'a//b',
];
const HEADERS: readonly (readonly string[])[] = [
  [JSON_BODY],
  ['content-type: Application/JSON; charset=UTF-8'],
  [],
  ['Content-Type: text/plain'],
  ['Content-Type: application/yaml'],
  ['Content-Type: application/x-www-form-urlencoded'],
  ['Content-Type: image/png'],
  ['Content-Type: application/json; charset=latin1'],
  ['Content-Type: nonsense'],
  [JSON_BODY, 'If-None-Match: *'],
  [JSON_BODY, 'If-None-Match: "a-1"'],
  [JSON_BODY, 'If-Match: *'],
  [JSON_BODY, 'If-Match: "EPOCH-3"'],
  [JSON_BODY, 'If-Match: W/"EPOCH-3"'],
  [JSON_BODY, 'If-Match: EPOCH-3'],
  [JSON_BODY, 'If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT'],
  [JSON_BODY, 'Origin: https://evil.test'],
  [JSON_BODY, 'Origin: http://localhost'],
  [JSON_BODY, 'Sec-Fetch-Site: cross-site'],
  [JSON_BODY, 'Content-Encoding: identity'],
  [JSON_BODY, 'Content-Encoding: gzip'],
  [JSON_BODY, 'Content-Encoding: rot13'],
  [JSON_BODY, 'X-Request-Id: trace-1'],
  [JSON_BODY, 'X-Request-Id: a b'],
  [JSON_BODY, 'Prefer: wait=1'],
  [JSON_BODY, 'User-Agent: curl/8', 'Accept: */*', 'Cookie: a=b'],
];
const BODIES: readonly string[] = [
  '{"value":1}',
  '{"value":2}',
  '{"value":{"a":[1,"ü"]},"metadata":{"owner":"me"},"comment":"why"}',
  '{"value":"text","contentType":"text/plain"}',
  '{"value": "', // never ends
  '{"value":1,"valeu":2}',
  '{"metadata":{"__proto__":"x"},"value":1}',
  '{}',
  '[]',
  '20',
  '',
  ' ',
  '\ufeff{"value":3}',
  'a line of text',
  'a: 1\nb: [',
  `{"value":"${'x'.repeat(MAX_VALUE_BYTES)}"}`,
  `{"value":"${'\\u00fc'.repeat(900)}"}`,
  JSON.stringify({ value: 'x'.repeat(80_000) }),
];

/** Writes as clients send them, one to three on a connection; the plain ones most often. */
class Writes {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  pipeline(): Buffer {
    const count = 1 + this.#random.below(3);
    return Buffer.concat(Array.from({ length: count }, (_, index) => this.#write(index === count - 1)));
  }

  #write(isLast: boolean): Buffer {
    const headers = this.#often(HEADERS);
    const text = Buffer.from(this.#often(BODIES));
    const isZipped = headers.includes('Content-Encoding: gzip');
    const body = isZipped ? gzipSync(text) : this.#random.below(20) === 0 ? Buffer.concat([text, Buffer.of(0xff)]) : text;
    const isChunked = this.#random.below(6) === 0;
    const lines = [
      `PUT /api/v1/configs/${this.#often(PATHS)} HTTP/1.1`,
      `Host: ${this.#random.below(10) === 0 ? 'evil.test' : 'localhost'}`,
      ...headers,
      isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.byteLength}`,
      ...(isLast ? ['Connection: close'] : []),
    ];
    const framed = isChunked ? [`${body.byteLength.toString(16)}\r\n`, body, body.byteLength > 0 ? '\r\n0\r\n\r\n' : '\r\n'] : [body];
    return Buffer.concat([`${lines.join('\r\n')}\r\n\r\n`, ...framed].map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  }

  /** The first in two of three cases. */
  #often<Value>(values: readonly Value[]): Value {
    return values[this.#random.below(3) > 0 ? 0 : this.#random.below(values.length)]!;
  }
}

describe('a plain write before Express and one by Express', () => {
  let nodes: Nodes;
  beforeAll(async () => {
    nodes = await Nodes.start();
  });
  afterAll(() => nodes[Symbol.asyncDispose]());

  it('are answered, stored, counted and logged alike', { timeout: 600_000 }, async () => {
    const writes = new Writes(seededRandom('hot writes'));
    for (let round = 0; round < ROUNDS; round++) await nodes.compare(writes.pipeline());
    await nodes.compareRest();
    // Or there was nothing to compare.
    expect(nodes.hot.side.hot).toBeGreaterThan(ROUNDS / 2);
  });

  it('are refused alike while the store is away, and carried out alike when it is back', async () => {
    const write = (value: number): Buffer => {
      const body = JSON.stringify({ value });
      return Buffer.from(
        `PUT /api/v1/configs/away HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
    };
    for (const { provider } of [nodes.hot, nodes.slow]) provider.down();
    await expect
      .poll(() => [nodes.hot.service.state, nodes.slow.service.state], { timeout: 5_000, interval: 5 })
      .toEqual(['stale', 'stale']);
    expect((await nodes.compare(write(1))).replaceAll(/^Attune-Stale: .*\r\n/gm, '')).toMatch(/^HTTP\/1\.1 503 /);
    for (const { provider } of [nodes.hot, nodes.slow]) provider.up();
    await expect.poll(() => [nodes.hot.service.state, nodes.slow.service.state], { timeout: 5_000, interval: 5 }).toEqual(['live', 'live']);
    expect(await nodes.compare(write(2))).toMatch(/^HTTP\/1\.1 201 /);
  });

  it('that are broken off change nothing, and are counted alike', async () => {
    const before = await nodes.hot.stored();
    for (const { port } of [nodes.hot.side, nodes.slow.side]) {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(`PUT /api/v1/configs/broken HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}\r\nContent-Length: 11\r\n\r\n{"val`);
      const counted = nodes.hot.side.port === port ? nodes.hot.side : nodes.slow.side;
      const requests = async (): Promise<number> =>
        (await counted.counted()).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
      const known = await requests();
      socket.resetAndDestroy();
      await eventually(async () => expect(await requests()).toBe(known + 1));
    }
    expect(await nodes.hot.stored()).toEqual(before);
    await nodes.compareRest();
  });

  it('say that the connection ends where the server begins to shut down while they are being sent', async () => {
    const answers: string[] = [];
    for (const node of [nodes.hot, nodes.slow]) {
      const socket = connect({ host: '127.0.0.1', port: node.side.port });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.write(
        `PUT /api/v1/configs/late HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n${JSON_BODY}\r\nContent-Length: 11\r\n\r\n`,
      );
      // It was begun: the server says so.
      await eventually(() => expect(Buffer.concat(chunks).toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n'));
      node.isDraining = true;
      socket.write('{"value":1}');
      await once(socket, 'close');
      node.isDraining = false;
      answers.push(withoutEpoch(withoutMadeUp(Buffer.concat(chunks).toString())));
    }
    expect(answers[0]).toBe(answers[1]);
    expect(answers[0]).toMatch(/HTTP\/1\.1 201 Created\r\n[\s\S]*\r\nConnection: close\r\n/);
    await nodes.compareRest();
  });

  it('arrive in pieces of any size', async () => {
    const body = '{"value":"grüße"}';
    const bytes = Buffer.from(
      `PUT /api/v1/configs/pieces HTTP/1.1\r\nHost: localhost\r\n${JSON_BODY}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    for (const size of [1, 7, bytes.byteLength - 1]) {
      const socket = connect({ host: '127.0.0.1', port: nodes.hot.side.port, noDelay: true });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      await once(socket, 'connect');
      for (let at = 0; at < bytes.byteLength; at += size) {
        socket.write(bytes.subarray(at, at + size));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await once(socket, 'close');
      expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 20[01] [\s\S]*"value":"grüße"/);
    }
  });
});
