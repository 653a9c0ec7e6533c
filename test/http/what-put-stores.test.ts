import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';

/*
 * The table "What PUT stores" of the contract: what is sent over what is there, and what a reader is given: as an item, bare, and as bytes in the store.
 */

interface Sent {
  /** Null: no Content-Type. */
  readonly type: string | null;
  readonly body: string;
  readonly raw?: boolean;
}

interface Stored {
  readonly value: unknown;
  readonly contentType: string;
  /** The value's bytes in the store, and with `?raw`. */
  readonly bytes: string;
}

const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

const json = (body: string, raw = false): Sent => ({ type: JSON_TYPE, body, raw });
const form = (body: string, raw = false): Sent => ({ type: FORM, body, raw });
const untyped = (body: string): Sent => ({ type: null, body });
const typed = (type: string, body: string): Sent => ({ type, body });
const asJson = (bytes: string): Stored => ({ value: JSON.parse(bytes), contentType: JSON_TYPE, bytes });
const asText = (bytes: string, contentType = 'text/plain'): Stored => ({ value: bytes, contentType, bytes });

const OVER_NOTHING: readonly [string, Sent, Stored][] = [
  ['a number in an envelope', json('{"value":20}'), asJson('20')],
  ['an object in an envelope', json('{"value":{"b":1, "a":[true,null]}}'), asJson('{"b":1, "a":[true,null]}')],
  ['a string in an envelope', json('{"value":"20"}'), asJson('"20"')],
  ['null in an envelope', json('{"value":null}'), asJson('null')],
  ['what curl -d sends', form('{"value":20}'), asJson('20')],
  ['what curl -d sends, with a plus and a percent', form('{"value":"a+b%20c&d=e"}'), asJson('"a+b%20c&d=e"')],
  ['a string with a text type', json('{"value":"a: 1\\n","contentType":"application/yaml"}'), asText('a: 1\n', 'application/yaml')],
  [
    'a string with a type in capitals and a charset',
    json('{"value":"x","contentType":"Text/Markdown; charset=UTF-8"}'),
    asText('x', 'text/markdown'),
  ],
  ['a bare number', json('20', true), asJson('20')],
  ['a bare object, white space around it', json(' {"a":1}\n', true), asJson('{"a":1}')],
  ['a bare envelope: it is the value then', json('{"value":20}', true), asJson('{"value":20}')],
  ['a bare value from curl -d', form('[1,2]', true), asJson('[1,2]')],
  ['an untyped number', untyped('20'), asJson('20')],
  ['an untyped number and a line feed', untyped('20\n'), asJson('20')],
  ['an untyped object', untyped('{"value":20}'), asJson('{"value":20}')],
  ['an untyped pretty-printed object', untyped('{\n  "a": 1\n}\n'), asJson('{\n  "a": 1\n}')],
  ['an untyped string in quotes', untyped('"x"'), asJson('"x"')],
  ['untyped true', untyped('true'), asJson('true')],
  ['untyped 1.10', untyped('1.10'), asText('1.10')],
  ['untyped 007', untyped('007'), asText('007')],
  ['untyped 1e3', untyped('1e3'), asText('1e3')],
  ['untyped 9007199254740993', untyped('9007199254740993'), asText('9007199254740993')],
  ['untyped words', untyped('hello\nworld\n'), asText('hello\nworld\n')],
  ['untyped nothing', untyped(''), asText('')],
  ['untyped JSON after a byte order mark', untyped('\ufeff{"a":1}'), asText('\ufeff{"a":1}')],
  ['plain text', typed('text/plain', 'hello'), asText('hello')],
  ['plain text that looks like JSON', typed('text/plain', '{"a":1}'), asText('{"a":1}')],
  ['plain text with its charset', typed('text/plain; charset=utf-8', 'é😀\0\u2028'), asText('é😀\0\u2028')],
  ['empty text', typed('text/plain', ''), asText('')],
  [
    'YAML',
    typed('application/yaml', 'a: &x [1, 2]\nb: *x\n---\nc: !t 1\n'),
    asText('a: &x [1, 2]\nb: *x\n---\nc: !t 1\n', 'application/yaml'),
  ],
  ['TOML', typed('application/toml', '[a]\nb = 1.10\n'), asText('[a]\nb = 1.10\n', 'application/toml')],
  ['XML', typed('application/xml', '<a/>'), asText('<a/>', 'application/xml')],
  ['HTML', typed('text/html', '<script>alert(1)</script>'), asText('<script>alert(1)</script>', 'text/html')],
];

const OVER_TEXT: readonly [string, Sent, Stored][] = [
  ['a string in an envelope stays bare text', json('{"value":"{\\"a\\":1}\\n"}'), asText('{"a":1}\n', 'text/x-ini')],
  ['a string from curl -d stays bare text', form('{"value":"20"}'), asText('20', 'text/x-ini')],
  ['a number in an envelope is JSON', json('{"value":20}'), asJson('20')],
  ['a string that shall be JSON', json('{"value":"20","contentType":"application/json"}'), asJson('"20"')],
  ['a bare string is JSON', json('"20"', true), asJson('"20"')],
  ['an untyped body keeps the item’s type', untyped('{"a":1}'), asText('{"a":1}', 'text/x-ini')],
  ['another text type', typed('text/plain', 'x'), asText('x')],
  ['another type only', json('{"contentType":"text/plain"}'), asText('[old]')],
  ['JSON as type only', json('{"contentType":"application/json"}'), asJson('"[old]"')],
];

const OVER_JSON: readonly [string, Sent, Stored][] = [
  ['a string in an envelope', json('{"value":"x"}'), asJson('"x"')],
  ['an untyped body is JSON too: 1.10', untyped('1.10'), asJson('1.10')],
  ['an untyped body is JSON too: 1e3', untyped('1e3\n'), asJson('1e3')],
  ['text of a declared type', typed('text/plain', '20'), asText('20')],
  ['a string with a text type', json('{"value":"20","contentType":"text/plain"}'), asText('20')],
];

describe('what PUT stores', () => {
  let service: HttpService;
  let count = 0;
  let path = '';

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  beforeEach(() => {
    path = `stored/${count++}`;
  });

  const send = ({ type, body, raw = false }: Sent) =>
    service.send({ method: 'PUT', path: `/api/v1/configs/${path}${raw ? '?raw' : ''}`, headers: { 'Content-Type': type }, body });

  async function expectStored(sent: Sent, { value, contentType, bytes }: Stored, status: number): Promise<void> {
    const answer = await send(sent);
    expect([answer.status, answer.text]).toEqual([status, answer.text]);
    expect(answer.json()).toMatchObject({ key: path, value, contentType });
    const item = await service.get(`/api/v1/configs/${path}`);
    expect(item.text).toBe(answer.text);
    const raw = await service.get(`/api/v1/configs/${path}?raw`);
    expect(raw.text).toBe(bytes);
    expect(raw.header('content-type')).toBe(contentType === JSON_TYPE ? JSON_TYPE : `${contentType}; charset=utf-8`);
    const { entries } = await service.store.read([`app/config/${path}`]);
    expect(Buffer.from(entries[0]?.value ?? []).toString()).toBe(bytes);
  }

  describe('over nothing', () => {
    it.each(OVER_NOTHING)('%s', (_, sent, stored) => expectStored(sent, stored, 201));
  });

  describe('over text', () => {
    it.each(OVER_TEXT)('%s', async (_, sent, stored) => {
      await send(typed('text/x-ini', '[old]'));
      await expectStored(sent, stored, 200);
    });
  });

  describe('over JSON', () => {
    it.each(OVER_JSON)('%s', async (_, sent, stored) => {
      await send(json('{"value":{"old":true}}'));
      await expectStored(sent, stored, 200);
    });
  });

  describe('over bytes of another tool', () => {
    const bytes = Uint8Array.of(0x00, 0xff, 0xfe, 0x61);

    beforeEach(() => service.outside({ [path]: bytes }));

    it('a new value replaces them', async () => {
      await expectStored(untyped('20'), asJson('20'), 200);
    });

    it('a change of metadata keeps them to the byte', async () => {
      const item = (await service.put(path, { metadata: { owner: 'ann' } })).json();
      expect(item).toMatchObject({ value: 'AP/+YQ==', contentType: 'application/octet-stream', metadata: { owner: 'ann' } });
      const raw = await service.get(`/api/v1/configs/${path}?raw`);
      expect([...raw.body]).toEqual([...bytes]);
      expect(raw.header('content-type')).toBe('application/octet-stream');
    });
  });

  it('a value of exactly the limit, and of the limit in escaped form', async () => {
    const limit = (await service.get('/api/v1/status')).json().limits.maxValueBytes;
    expect(limit).toBe(512 * 1024);
    expect((await send(typed('text/plain', 'x'.repeat(limit)))).status).toBe(201);
    const escaped = `{"value":"${'\\u00e9'.repeat(limit / 2)}"}`;
    expect((await send({ type: JSON_TYPE, body: escaped })).status).toBe(200);
    expect((await service.get(`/api/v1/configs/${path}?raw`)).text).toBe('é'.repeat(limit / 2));
  });

  it('a compressed body', async () => {
    const { gzipSync } = await import('node:zlib');
    const answer = await service.send({
      method: 'PUT',
      path: `/api/v1/configs/${path}`,
      headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
      body: gzipSync('{"value":"packed"}'),
    });
    expect(answer.json().value).toBe('packed');
  });

  it('a body in chunks', async () => {
    const answer = await service.send({
      method: 'PUT',
      path: `/api/v1/configs/${path}`,
      headers: { 'Content-Type': 'application/json', 'Content-Length': null, 'Transfer-Encoding': 'chunked' },
      body: '6\r\n{"valu\r\n5\r\ne":1}\r\n0\r\n\r\n',
    });
    expect(answer.json().value).toBe(1);
  });
});

describe('fields', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
    await service.put('f', { value: { a: 1 }, metadata: { owner: 'ann', team: 'x' } });
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('a field left out is kept', async () => {
    expect((await service.put('f', { value: 2 })).json()).toMatchObject({ value: 2, metadata: { owner: 'ann', team: 'x' } });
    expect((await service.put('f', { metadata: { owner: 'bob' } })).json()).toMatchObject({ value: 2, metadata: { owner: 'bob' } });
    expect(
      (
        await service.send({ method: 'PUT', path: '/api/v1/configs/f?raw', headers: { 'Content-Type': 'application/json' }, body: '3' })
      ).json(),
    ).toMatchObject({ value: 3, metadata: { owner: 'bob' } });
    expect(
      (await service.send({ method: 'PUT', path: '/api/v1/configs/f', headers: { 'Content-Type': 'text/plain' }, body: 'x' })).json(),
    ).toMatchObject({ value: 'x', metadata: { owner: 'bob' } });
  });

  it('metadata is replaced as a whole, and cleared by {}', async () => {
    await service.put('f', { metadata: { a: '1', b: '2' } });
    expect((await service.put('f', { metadata: { c: '3' } })).json().metadata).toEqual({ c: '3' });
    expect((await service.put('f', { metadata: {} })).json().metadata).toEqual({});
  });

  it('a change of metadata only is a change: version, tag, event', async () => {
    const stream = await service.stream('?key=f');
    await stream.until('synced');
    const before = await service.item('f');
    const after = (await service.put('f', { metadata: { owner: 'eve' } })).json();
    expect(after.version).toBeGreaterThan(before.version);
    expect(after.createdVersion).toBe(before.createdVersion);
    expect(after.etag).not.toBe(before.etag);
    const { data } = await stream.event();
    expect(data.changes[0]).toMatchObject({
      type: 'updated',
      oldValue: before.value,
      newValue: before.value,
      metadata: { owner: 'eve' },
      version: after.version,
    });
  });

  it('metadata takes any name and text', async () => {
    const metadata = { ' ': '', constructor: 'x', 'é/"\\': '😀\n\0', toString: '' };
    expect((await service.put('f', { metadata })).json().metadata).toEqual(metadata);
    expect((await service.item('f')).metadata).toEqual(metadata);
  });

  it('a key that was deleted and made again has none of its former metadata', async () => {
    await service.put('g', { value: 'x', contentType: 'text/x-ini', metadata: { owner: 'ann' } });
    await service.delete('g');
    expect(
      (await service.send({ method: 'PUT', path: '/api/v1/configs/g', headers: { 'Content-Type': null }, body: '{"a":1}' })).json(),
    ).toMatchObject({
      value: { a: 1 },
      contentType: 'application/json',
      metadata: {},
    });
  });
});

describe('nothing changed', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it.each([
    ['the same', '{"a":1,"b":[1.5,"x"]}'],
    ['white space', ' { "a" : 1 ,\n"b":[ 1.5 , "x" ] } '],
    ['order of members', '{"b":[1.5,"x"],"a":1}'],
    ['spelling of numbers', '{"a":1.0,"b":[15e-1,"x"]}'],
    ['spelling of strings', '{"\\u0061":1,"b":[1.5,"\\u0078"]}'],
  ])('by %s: 200, same version, no event, nothing in the store', async (_, value) => {
    const first = (await service.put('n', { value: { a: 1, b: [1.5, 'x'] }, metadata: { m: '1' } })).json();
    const stream = await service.stream('?key=n&key=marker');
    await stream.until('synced');
    const before = await service.dump();
    const again = await service.send({
      method: 'PUT',
      path: '/api/v1/configs/n',
      headers: { 'Content-Type': 'application/json' },
      body: `{"value":${value},"metadata":{"m":"1"},"comment":"again"}`,
    });
    expect(again.status).toBe(200);
    expect(again.json()).toEqual(first);
    expect(again.header('etag')).toBe(`"${first.etag}"`);
    expect(await service.dump()).toEqual(before);
    await service.set('marker', Math.random());
    expect((await stream.event()).data.changes[0].key).toBe('marker');
  });

  it('but a condition that does not hold is told first', async () => {
    const { version } = (await service.put('c', { value: 1 })).json();
    const answer = await service.send({
      method: 'PUT',
      path: `/api/v1/configs/c?ifVersion=${version - 1}`,
      headers: { 'Content-Type': 'application/json' },
      body: '{"value":1}',
    });
    expect(answer.status).toBe(412);
  });

  it.each([
    ['a digit no double holds', '9007199254740993', '9007199254740992'],
    ['order in an array', '[1,2]', '[2,1]'],
    ['another type', '"20"', '20'],
  ])('is not said of %s', async (_, from, to) => {
    const raw = (body: string) =>
      service.send({ method: 'PUT', path: '/api/v1/configs/d?raw', headers: { 'Content-Type': 'application/json' }, body });
    const { version } = (await raw(from)).json();
    expect((await raw(to)).json().version).toBeGreaterThan(version);
    expect((await service.get('/api/v1/configs/d?raw')).text).toBe(to);
  });
});
