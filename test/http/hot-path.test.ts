import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Random } from '../../src/conformance/random.ts';
import type { ConfigKey } from '../../src/core/key.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { ConfigService } from '../../src/server/config-service.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { encodeRequest, sendBytes } from '../support/http-exchange.ts';
import { expectSameRecords, Side, type SideSettings } from '../support/hot-and-slow.ts';
import { IS_LONG, seededRandom } from '../support/seed.ts';
import { BAD_INPUT } from './bad-input-table.ts';

/*
 * Two servers over one service, one with the hot path and one without: whatever is sent to both, byte for byte, they answer with the same bytes,
 * count the same and log the same. Only the date and the ids that a server makes up differ.
 */

const ROUNDS = IS_LONG ? 20_000 : 700;
const MAX_PIPELINED = 8;

/** Stored under names of every kind, by this service and by other tools. */
const STORED: Readonly<Record<string, string | Uint8Array>> = {
  'app/x': '{"a":1}',
  'app/plain': 'a line of text',
  'app/page': '<script>alert(1)</script>',
  'app/empty': '',
  'app/bytes': Uint8Array.of(0, 0xff, 0x80),
  'app/umlaut': '"grüße, 世界 😀"',
  'app/large': JSON.stringify('x'.repeat(40_000)),
  'app/large-umlaut': JSON.stringify('ü'.repeat(20_000)),
  'a b+c?d#e&f=g%h': '1',
  'grüße/世界': '2',
  x: 'true',
  [`long/${'k'.repeat(500)}`]: '3',
};
const KEYS = Object.keys(STORED);

/** The two servers; disposed of with their service. */
class Pair implements AsyncDisposable {
  readonly store = new MemoryProvider();
  readonly provider = new FaultyProvider(this.store);
  readonly service = new ConfigService({ provider: this.provider, namespace: 'app/config', now: () => 1_800_000_000_000 });
  readonly hot: Side;
  readonly slow: Side;

  constructor(settings: SideSettings = {}) {
    this.hot = new Side(this.service, settings, true);
    this.slow = new Side(this.service, settings, false);
  }

  static async start(settings: SideSettings = {}, isLoaded = true): Promise<Pair> {
    const pair = new Pair(settings);
    for (const side of [pair.hot, pair.slow]) await side.listen();
    await pair.provider.open();
    if (!isLoaded) return pair;
    pair.service.start();
    await pair.service.reached(pair.service.revision);
    for (const [key, value] of Object.entries(STORED)) await pair.outside(key, value);
    await pair.write('app/x', '{"a":1}');
    await pair.write('x', 'true');
    return pair;
  }

  async outside(key: string, value: string | Uint8Array | null): Promise<void> {
    const name = `app/config/${key}`;
    const operation =
      value === null ? ({ type: 'delete', key: name } as const) : ({ type: 'put', key: name, value: Buffer.from(value) } as const);
    await this.service.reached(await this.store.commit({ checks: [], operations: [operation] }));
  }

  async write(key: string, valueText: string): Promise<void> {
    await this.service.write({ type: 'put', key: key as ConfigKey, condition: {}, body: { form: 'envelope', valueText } });
  }

  /** Sends `bytes` to both and compares what comes back. */
  async compare(bytes: Uint8Array): Promise<void> {
    const [hot, slow] = await Promise.all([this.hot.answer(bytes), this.slow.answer(bytes)]);
    if (hot !== slow)
      expect({ sent: Buffer.from(bytes).toString('latin1'), answer: hot }).toEqual({ sent: expect.any(String), answer: slow });
  }

  /** Compares what was counted and logged so far. */
  async compareRecords(): Promise<void> {
    await expectSameRecords(this.hot, this.slow);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of [this.hot, this.slow]) side[Symbol.dispose]();
    await this.service.close();
    await this.provider.close();
  }
}

/** Requests as clients, proxies and attackers send them; the plain ones most often. */
class Requests {
  readonly #random: Random;
  readonly #etagOf: (key: string) => string;

  constructor(random: Random, etagOf: (key: string) => string) {
    this.#random = random;
    this.#etagOf = etagOf;
  }

  /** One to eight requests in one piece, on a connection that ends with the last. */
  pipeline(): Buffer {
    const count = 1 + this.#random.below(MAX_PIPELINED);
    return Buffer.concat(
      Array.from({ length: count }, (_, index) => Buffer.from(this.#request(index === 0, index === count - 1), 'latin1')),
    );
  }

  #request(isFirst: boolean, isLast: boolean): string {
    const method = this.#often(['GET'], ['HEAD', 'HEAD', 'OPTIONS', 'POST', 'PROPFIND', 'DELETE']);
    const isList = method !== 'DELETE' && this.#random.below(3) === 0;
    const key = isList ? LIST : this.#one(KEYS);
    const query = method === 'DELETE' ? '?ifVersion=0' : this.#often(['', '?raw'], QUERIES);
    const path = isList ? this.#often(LISTS, ODD_LISTS) : this.#path(key) + query;
    const version = isLast && this.#isRare() ? '1.0' : '1.1';
    const connection = isLast
      ? [version === '1.0' ? '' : 'Connection: close']
      : [this.#often([''], ['Connection: keep-alive', 'connection: Keep-Alive'])];
    const [body, ...framing] = this.#often(
      [['']],
      [
        ['', 'Content-Length: 0'],
        ['hello', 'Content-Length: 5'],
        ['0\r\n\r\n', 'Transfer-Encoding: chunked'],
      ],
    );
    const lines = [
      ...this.#often([['Host: localhost:8080']], HOSTS),
      ...this.#often([[]], [this.#noneMatch(key)]),
      ...this.#often([[]], REQUEST_IDS),
      ...this.#often([[]], ORDINARY),
      ...(this.#isRare() ? this.#one(ODD_HEADERS) : []),
      ...(isFirst && this.#isRare() ? ['Expect: 100-continue'] : []),
      // Node.js reads nothing more from a connection that asked for another protocol.
      ...(isLast && this.#isRare() ? ['Connection: Upgrade', 'Upgrade: websocket'] : []),
      ...framing,
      ...connection,
    ];
    const ordered = this.#isRare() ? lines.toReversed() : lines;
    return `${method} ${path} HTTP/${version}\r\n${ordered
      .filter((line) => line !== '')
      .map((line) => `${line}\r\n`)
      .join('')}\r\n${body}`;
  }

  #path(key: string): string {
    const encoded = this.#often(
      [key.split('/').map(encodeURIComponent).join('/')],
      [
        encodeURIComponent(key),
        this.#encodeAtRandom(key),
        encodeURIComponent(encodeURIComponent(key)),
        `${encodeURIComponent(key)}/`,
        `/${encodeURIComponent(key)}`,
      ],
    );
    return this.#often(
      [`/api/v1/configs/${encoded}`],
      [...PATHS, `http://localhost:8080/api/v1/configs/${encoded}`, `/api/v1/configs/./${encoded}`, `/api/v1/configs//${encoded}`],
    );
  }

  /** Any character of a path may be written in percent-encoding. */
  #encodeAtRandom(key: string): string {
    const bytes = [...Buffer.from(key)];
    const isPlain = (byte: number): boolean => /[\w./-]/.test(String.fromCharCode(byte));
    const hex = (byte: number): string => `%${byte.toString(16).padStart(2, '0')}`;
    return bytes
      .map((byte) =>
        isPlain(byte) && this.#random.below(3) > 0 ? String.fromCharCode(byte) : this.#isRare() ? hex(byte).toUpperCase() : hex(byte),
      )
      .join('');
  }

  #noneMatch(key: string): readonly string[] {
    const etag = this.#etagOf(key);
    const name = this.#often(['If-None-Match'], ['if-none-match', 'IF-NONE-MATCH']);
    const value = this.#often(
      [etag],
      [
        `W/${etag}`,
        `"a-1", ${etag}`,
        `${etag}, "a-1"`,
        `W/"a-1" , W/${etag}`,
        '*',
        '',
        '"a-1"',
        'x',
        `${etag} "b"`,
        `*, ${etag}`,
        `${etag},`,
        `,${etag}`,
        etag.slice(1),
        `w/${etag}`,
        this.#etagOf(this.#one(KEYS)),
      ],
    );
    return [`${name}: ${value}`, ...(this.#random.below(20) === 0 ? [`${name}: "a-1"`] : [])];
  }

  /** One of `usual` in most cases, else one of `rare`. */
  #often<Value>(usual: readonly Value[], rare: readonly Value[]): Value {
    return this.#one(this.#random.below(4) === 0 ? rare : usual);
  }

  #one<Value>(values: readonly Value[]): Value {
    return values[this.#random.below(values.length)]!;
  }

  #isRare(): boolean {
    return this.#random.below(8) === 0;
  }
}

/** Stands for the list among keys: its entity tag is the position of the node. */
const LIST = '';

const LISTS = [
  '/api/v1/configs',
  '/api/v1/configs?prefix=app/',
  '/api/v1/configs?prefix=app%2F&limit=1',
  '/api/v1/configs?limit=2&after=app/x',
  '/api/v1/configs?raw',
  '/api/v1/configs?keysOnly&prefix=',
  '/api/v1/configs?delimiter=/',
  '/api/v1/configs?prefix=none/',
];

const ODD_LISTS = [
  ...['?', '?&', '?pretty', '?prefix=app/&pretty=1', '?raw&pretty', '?pretty=maybe', '?%70retty', '?prefix=pretty', '?limit=0', '?limit=x'],
  ...['?prefx=a', '?prefix=a&prefix=b', '?limit=1&limit=2', '?prefix=%ff', '?prefix=//', '?prefix=%00', '?delimiter=:', '?raw&keysOnly'],
  ...[
    '?consistency=strong',
    '?consistency=cached',
    '?consistency=x',
    '?minRevision=1',
    '?minRevision=999999',
    '?minRevision=x',
    '?cursor=x',
  ],
  ...['?watch&wait=0s', '?watch=false', '?watch=0&limit=1', '?wait=0s', '?since=a-1', '?key=app/x', '?prefix=app/#x', '#', '#?raw'],
  ...['/', '?limit=1&after=%E4%BD%A0', '?prefix=APP/', '?PREFIX=app/', '?raw=true&prefix=x', '?after=zzz', '?limit=10001'],
].map((rest) => `/api/v1/configs${rest}`);

const QUERIES = [
  ...[
    '?',
    '?raw=',
    '?raw=true',
    '?raw=1',
    '?raw=false',
    '?raw=maybe',
    '?raw&raw',
    '?raw&',
    '?&raw',
    '??raw',
    '?raw?',
    '?raw#x',
    '#x',
    '#?raw',
    '?#raw',
  ],
  ...[
    '?pretty',
    '?raw&pretty',
    '?pretty=maybe',
    '?rwa',
    '?RAW',
    '?%72aw',
    '?raw%20',
    '?consistency=strong',
    '?consistency=cached',
    '?consistency=x',
  ],
  ...[
    '?minRevision=1',
    '?minRevision=999999',
    '?minRevision=a-1',
    '?watch&wait=0s',
    '?watch&version=1&wait=0s',
    '?wait=0s',
    '?version=1',
    '?raw&x=%',
  ],
];

const PATHS = [
  ...[
    '/healthz',
    '/healthz',
    '/readyz',
    '/readyz',
    '/healthz/',
    '/readyz?x',
    '/healthz?',
    '/HEALTHZ',
    '//healthz',
    '/healthz#',
    '/',
    '/nowhere',
    '/%',
  ],
  ...[
    '/api/v1/configs',
    '/api/v1/configs/',
    '/api/v1/configs?limit=2',
    '/API/v1/configs/x',
    '/api/v1/configs/absent',
    '/api/v1/configs/app',
    '/api/v1/status',
  ],
  ...[
    '%',
    '%zz',
    '%ff',
    '%ED%A0%80',
    '%00',
    'a%0Ab',
    '..',
    '../x',
    'app/../x',
    '.attune/system/epoch',
    'x%23',
    'x%3Fraw',
    'x%',
    'x;y',
    'x|y',
    'a\\b',
    "x'",
    'x"',
  ].map((rest) => `/api/v1/configs/${rest}`),
];

const HOSTS: readonly (readonly string[])[] = [
  ['host: 127.0.0.1'],
  ['HOST: [::1]:8080'],
  ['Host: LOCALHOST.'],
  ['Host: named.test:1'],
  ['Host:   localhost  '],
  ['Host: evil.test'],
  ['Host: localhost:x'],
  ['Host: localhost@evil.test'],
  ['Host: '],
  ['Host: localhost', 'Host: localhost'],
  ['Host: localhost', 'hOsT: evil.test'],
];

const REQUEST_IDS: readonly (readonly string[])[] = [
  ['X-Request-Id: trace-1.a:b_c'],
  ['x-request-id: lower'],
  [`X-Request-ID: ${'a'.repeat(64)}`],
  [`X-Request-Id: ${'a'.repeat(65)}`],
  ['X-Request-Id: '],
  ['X-Request-Id: a b'],
  ['X-Request-Id: <script>'],
  ['X-Request-Id: \xe9'],
  ['X-Request-Id: one', 'X-Request-Id: two'],
];

const ORDINARY: readonly (readonly string[])[] = [
  ['User-Agent: curl/8', 'Accept: */*'],
  ['Accept: text/event-stream'],
  ['Accept: text/html', 'Cookie: a=b'],
  ['Accept-Encoding: gzip', 'Cache-Control: no-cache', 'Pragma: no-cache'],
  ['From: a', 'Cookie: b', 'Content-Type: text/plain', 'Authorization: Bearer x', 'Last-Event-ID: a-1'],
];

const ODD_HEADERS: readonly (readonly string[])[] = [
  ['Origin: http://localhost:8080'],
  ['Origin: https://evil.test'],
  ['Origin: https://console.example', 'Sec-Fetch-Site: cross-site'],
  ['Origin: null'],
  ['Prefer: wait=0'],
  ['prefer: respond-async'],
  ['Prefer: wait="0"', 'Prefer: handling=strict'],
  ['Range: bytes=0-1', 'If-Range: "a-1"'],
  ['If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT'],
  ['If-Match: "a-1"'],
  ['TE: trailers'],
  ['X-HTTP-Method-Override: DELETE'],
];

/** Sends random pipelines while what is stored changes. */
async function compareAtRandom(pair: Pair, name: string, rounds: number, isChanging: boolean): Promise<void> {
  const random = seededRandom(`the hot path, ${name}`);
  const etagOf = (key: string): string => (key === LIST ? pair.service.cursor : (pair.service.rendered(key as ConfigKey)?.etag ?? 'a-1'));
  const requests = new Requests(random, (key) => `"${etagOf(key)}"`);
  for (let round = 0; round < rounds; round++) {
    if (isChanging && random.below(4) === 0) {
      const key = KEYS[random.below(KEYS.length)]!;
      if (random.below(3) === 0) await pair.write(key, JSON.stringify('v'.repeat(random.below(30))));
      else await pair.outside(key, random.below(3) > 0 || !pair.service.versionOf(key as ConfigKey) ? (STORED[key] ?? '') : null);
    }
    await pair.compare(requests.pipeline());
  }
  await pair.compareRecords();
}

describe('the hot path and Express answer, count and log alike', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await Pair.start();
  });
  afterAll(() => pair[Symbol.asyncDispose]());

  it.each(BAD_INPUT)('$name', async ({ request }) => {
    await pair.compare('bytes' in request ? Buffer.from(request.bytes) : encodeRequest(8080, request));
  });

  it('what was wrong', () => pair.compareRecords());

  it('a read that is held', async () => {
    const etag = pair.service.rendered('app/x' as ConfigKey)?.entityTag;
    for (const method of ['GET', 'HEAD']) {
      await pair.compare(
        encodeRequest(8080, { method, path: '/api/v1/configs/app/x', headers: { 'If-None-Match': etag!, Prefer: 'wait=1' } }),
      );
    }
  });

  it('any requests, while what is stored changes', { timeout: 600_000 }, async () => {
    await compareAtRandom(pair, 'live', ROUNDS, true);
    // Or there was nothing to compare.
    expect(pair.hot.hot).toBeGreaterThan(ROUNDS);
  });
});

describe('the hot path and Express agree where the node is not as usual', () => {
  it('without its store', async () => {
    await using pair = await Pair.start();
    pair.provider.down();
    await expect.poll(() => pair.service.state, { timeout: 5_000, interval: 5 }).toBe('stale');
    await compareAtRandom(pair, 'stale', ROUNDS / 10, false);
    expect(pair.hot.hot).toBeGreaterThan(ROUNDS / 10);
  });

  it('before anything is loaded', async () => {
    await using pair = await Pair.start({}, false);
    await compareAtRandom(pair, 'connecting', ROUNDS / 10, false);
  });

  it('while it shuts down', async () => {
    await using pair = await Pair.start({ isDraining: () => true });
    await compareAtRandom(pair, 'draining', ROUNDS / 10, false);
  });

  it('when it is closed', async () => {
    await using pair = await Pair.start();
    await pair.service.close();
    await compareAtRandom(pair, 'closed', ROUNDS / 10, false);
  });

  it('with pages of other origins allowed', async () => {
    await using pair = await Pair.start({ rules: { corsOrigins: ['https://console.example'] } });
    await compareAtRandom(pair, 'cross-origin', ROUNDS / 10, false);
  });
});

describe('a request that expects 100-continue behind one that is not answered yet', () => {
  it.each([
    ['a read', `GET /api/v1/configs/app/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`],
    [
      'a write',
      'PUT /api/v1/configs/app/new HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"value":1}',
    ],
  ])('is told to go on when its turn has come: %s', async (_name, request) => {
    await using pair = await Pair.start();
    const held = 'GET /api/v1/configs/app/x?watch&wait=200ms HTTP/1.1\r\nHost: localhost\r\n\r\n';
    for (const { port } of [pair.hot, pair.slow]) {
      const answered = (await sendBytes(port, held + request)).toString('latin1');
      // The first has no body.
      const [first = '', go = '', head = '', body = ''] = answered.split('\r\n\r\n');
      expect([first, head]).toEqual([expect.stringMatching(/^HTTP\/1\.1 304 /), expect.stringMatching(/^HTTP\/1\.1 20[01] /)]);
      expect(go).toBe('HTTP/1.1 100 Continue');
      expect(JSON.parse(body)).toMatchObject({ key: expect.stringMatching(/^app\//) });
    }
  });
});
