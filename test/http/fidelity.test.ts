import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';

/** JSON that would not survive being parsed and written again. */
const SPELLINGS = [
  '9007199254740993',
  '1.10',
  '1e3',
  '-0',
  '1E+2',
  '0.1000000000000000055511151231257827',
  '{"b":1,"a":2,"1":3}',
  '"\\u0041\\/\\n"',
  '[ 1 ,\t2 ]',
  '{}',
  '1e-400',
  '{"__proto__":{"x":1}}',
] as const;

const PRETTY = '{\r\n  "limits": {\r\n    "max": 9007199254740993,\n    "ratio": 1.10\r  },\n\n  "text": "a\\nb\u2028c"\n}\n';

describe('a value is what was written', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it.each(SPELLINGS)('%s reaches every reader verbatim', async (spelling) => {
    const stream = await service.stream('?key=v');
    await stream.until('synced');
    const cursor = await service.cursor();
    const put = await service.send({
      method: 'PUT',
      path: '/api/v1/configs/v',
      headers: { 'Content-Type': 'application/json' },
      body: `{"comment":"x","value": ${spelling} }`,
    });
    const value = `"value":${spelling},`;
    expect(put.text).toContain(value);
    expect((await service.get('/api/v1/configs/v')).text).toContain(value);
    expect((await service.get('/api/v1/configs/v?raw')).text).toBe(spelling);
    expect((await service.get('/api/v1/configs?prefix=v')).text).toContain(value);
    expect((await service.get('/api/v1/configs?prefix=v&raw')).text).toBe(`{"v":${spelling}}\n`);
    expect((await service.get(`/api/v1/configs?watch&since=${cursor}&wait=0s`)).text).toContain(`"newValue":${spelling},`);
    expect((await stream.event()).raw).toContain(`"newValue":${spelling},`);
    const snapshot = await service.stream('?snapshot&key=v');
    expect((await snapshot.event()).raw).toContain(value);
    await service.set('v', 'other');
    expect((await stream.event()).raw).toContain(`"oldValue":${spelling},`);
  });

  it('?pretty keeps every token and is JSON of the same meaning', async () => {
    await service.send({
      method: 'PUT',
      path: '/api/v1/configs/p?raw',
      headers: { 'Content-Type': 'application/json' },
      body: '{"n":[9007199254740993,1.10,1e3],"\\u0061":"\\u0041"}',
    });
    for (const path of ['/api/v1/configs/p', '/api/v1/configs?prefix=p', '/api/v1/configs?prefix=p&raw']) {
      const plain = await service.get(path);
      const pretty = await service.get(`${path}${path.includes('?') ? '&' : '?'}pretty`);
      expect(pretty.text.split('\n').length).toBeGreaterThan(5);
      for (const token of ['9007199254740993', '1.10', '1e3', '"\\u0061": "\\u0041"']) expect(pretty.text).toContain(token);
      expect(pretty.json()).toEqual(plain.json());
      expect(pretty.text.endsWith('\n}\n')).toBe(true);
    }
    expect((await service.get('/api/v1/configs/absent?pretty')).text).toMatch(/^\{\n  "type"/);
    expect((await service.get('/api/v1/status?pretty')).text).toMatch(/^\{\n  "version"/);
    expect((await service.get('/api/v1/configs/p?pretty=false')).text).toBe((await service.get('/api/v1/configs/p')).text);
  });

  it('every JSON body is one object on one line and ends with a line feed', async () => {
    await service.outside({ pretty: PRETTY });
    const cursor = await service.cursor();
    await service.outside({ pretty: `${PRETTY} ` });
    for (const path of [
      '/api/v1/configs/pretty',
      '/api/v1/configs',
      '/api/v1/configs?raw',
      `/api/v1/configs?watch&since=${cursor}&wait=0s`,
      '/api/v1/configs/pretty?watch&version=1',
      '/api/v1/status',
      '/healthz',
      '/readyz',
      '/api/v1/configs/absent',
    ]) {
      const { text, headers } = await service.get(path);
      expect(text.slice(0, -1)).not.toContain('\n');
      expect(text.slice(0, -1)).not.toContain('\r');
      expect(text.at(-1)).toBe('\n');
      expect(typeof JSON.parse(text)).toBe('object');
      expect(headers.get('content-type')).toMatch(/^application\/(json; charset=utf-8|problem\+json)$/);
    }
  });
});

describe('a value written by another tool', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('is an item and an event, without a time and without a name', async () => {
    const stream = await service.stream('?prefix=o/');
    await stream.until('synced');
    const version = await service.outside({ 'o/a': '20' });
    const item = await service.item('o/a');
    expect(item).toEqual({
      key: 'o/a',
      value: 20,
      version,
      etag: expect.stringMatching(/-\d+$/),
      lastUpdated: null,
      metadata: {},
      contentType: 'application/json',
      createdVersion: version,
    });
    expect((await stream.event()).data).toEqual({
      revision: version,
      changes: [
        {
          type: 'created',
          key: 'o/a',
          oldValue: null,
          newValue: 20,
          version,
          timestamp: null,
          metadata: {},
          contentType: 'application/json',
        },
      ],
    });
    const deleted = await service.outside({ 'o/a': null });
    expect((await stream.event()).data.changes).toEqual([
      {
        type: 'deleted',
        key: 'o/a',
        oldValue: 20,
        newValue: null,
        version: deleted,
        timestamp: null,
        metadata: {},
        contentType: 'application/json',
      },
    ]);
    expect((await service.get('/api/v1/configs/o/a')).status).toBe(404);
  });

  it.each([
    ['20', 20],
    ['1.10', '1.10'],
    ['007', '007'],
    ['1e3', '1e3'],
    ['9007199254740993', '9007199254740993'],
    ['true\n', true],
    ['yes', 'yes'],
    ['"x"', 'x'],
    ['{"a":1', '{"a":1'],
    ['{"a":1,"a":2}', { a: 2 }],
    ['', ''],
    ['a: 1\n', 'a: 1\n'],
  ])('%j is inferred to be %j', async (bytes, value) => {
    await service.outside({ 'o/inferred': bytes });
    expect((await service.item('o/inferred')).value).toEqual(value);
    expect((await service.get('/api/v1/configs/o/inferred?raw')).text).toBe(bytes);
  });

  it('pretty-printed JSON is one line inside an item and itself when bare', async () => {
    await service.outside({ 'o/pretty': PRETTY });
    const { text } = await service.get('/api/v1/configs/o/pretty');
    expect(text).toContain('"max": 9007199254740993');
    expect(text).toContain('1.10');
    expect(JSON.parse(text).value).toEqual(JSON.parse(PRETTY));
    expect((await service.get('/api/v1/configs/o/pretty?raw')).text).toBe(PRETTY);
    const stream = await service.stream('?snapshot&key=o/pretty');
    const { data, raw } = await stream.event();
    expect(raw.split('\n')).toHaveLength(2);
    expect(data.items[0].value).toEqual(JSON.parse(PRETTY));
  });

  it('bytes that are not UTF-8 are base64 in an item and themselves when bare', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await service.outside({ 'o/bytes': bytes });
    expect(await service.item('o/bytes')).toMatchObject({
      value: Buffer.from(bytes).toString('base64'),
      contentType: 'application/octet-stream',
    });
    const raw = await service.get('/api/v1/configs/o/bytes?raw');
    expect([...raw.body]).toEqual([...bytes]);
    expect((await service.get('/api/v1/configs?prefix=o/bytes&raw')).json()).toEqual({ 'o/bytes': Buffer.from(bytes).toString('base64') });
  });

  it('over an item of this service keeps metadata and type, not who and when', async () => {
    await service.put('o/over', { value: { a: 1 }, metadata: { owner: 'ann' } });
    const version = await service.outside({ 'o/over': '{"a":2}' });
    expect(await service.item('o/over')).toMatchObject({
      value: { a: 2 },
      version,
      metadata: { owner: 'ann' },
      contentType: 'application/json',
      lastUpdated: null,
    });
    await service.outside({ 'o/over': 'not json' });
    expect(await service.item('o/over')).toMatchObject({ value: 'not json', metadata: { owner: 'ann' }, contentType: 'text/plain' });
    await service.outside({ 'o/over': '[3]' });
    expect(await service.item('o/over')).toMatchObject({ value: [3], contentType: 'application/json' });
    const changed = (await service.put('o/over', { value: 4 })).json();
    expect(changed).toMatchObject({ value: 4, metadata: { owner: 'ann' } });
    expect(changed.lastUpdated).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('over text stays text', async () => {
    await service.put('o/text', { value: 'a: 1', contentType: 'application/yaml', metadata: { owner: 'ann' } });
    await service.outside({ 'o/text': '{"a":1}' });
    expect(await service.item('o/text')).toMatchObject({ value: '{"a":1}', contentType: 'application/yaml', metadata: { owner: 'ann' } });
  });

  it('after a delete borrows nothing from the tombstone', async () => {
    await service.put('o/tomb', { value: 'x', contentType: 'application/yaml', metadata: { owner: 'ann' } });
    await service.delete('o/tomb');
    const version = await service.outside({ 'o/tomb': '{"a":1}' });
    expect(await service.item('o/tomb')).toMatchObject({
      value: { a: 1 },
      contentType: 'application/json',
      metadata: {},
      version,
      createdVersion: version,
    });
  });

  it('is deleted by this service with a tombstone of its own', async () => {
    await service.outside({ 'o/theirs': '1' });
    const stream = await service.stream('?key=o/theirs');
    await stream.until('synced');
    await service.delete('o/theirs');
    const { changes } = (await stream.event()).data;
    expect(changes[0]).toMatchObject({ type: 'deleted', oldValue: 1, timestamp: expect.stringMatching(/Z$/) });
  });

  it('that is deleted by them leaves the sequence: writing it again works', async () => {
    await service.put('o/again', { value: 1, metadata: { a: 'b' } });
    await service.put('o/again', { value: 2 });
    await service.outside({ 'o/again': null });
    expect((await service.get('/api/v1/configs/o/again')).status).toBe(404);
    const made = await service.put('o/again', { value: 3 });
    expect(made.status).toBe(201);
    expect(made.json()).toMatchObject({ value: 3 });
  });

  it('together with its sidecar gone is written again without a collision in history', async () => {
    await service.put('o/lost', { value: 1 });
    await service.put('o/lost', { value: 2 });
    await service.store.commit({
      checks: [],
      operations: [
        { type: 'delete', key: 'app/config/.attune/meta/o/lost' },
        { type: 'delete', key: 'app/config/o/lost' },
      ],
    });
    await service.outside({ marker: '1' });
    expect((await service.put('o/lost', { value: 3 })).json().value).toBe(3);
    const { entries } = await service.store.list('app/config.attune/history/o%2Flost/');
    expect(entries.map(({ key }) => Number(key.split('/').at(-1)))).toEqual([1, 2, 3]);
  });

  it('beside a sidecar that somebody broke stands for itself', async () => {
    await service.put('o/broken', { value: 'x', contentType: 'text/html' });
    for (const broken of [
      '',
      '{',
      '{"contentType":"text/plain\\r\\nX-Evil: 1","metadata":{},"lastUpdated":"x","sequence":1,"writeId":"w"}',
      '{"contentType":"a b","metadata":{},"lastUpdated":"x","sequence":1,"writeId":"w"}',
    ]) {
      await service.store.commit({
        checks: [],
        operations: [{ type: 'put', key: 'app/config/.attune/meta/o/broken', value: Buffer.from(broken) }],
      });
      await service.outside({ 'o/broken': 'y' });
      expect((await service.get('/api/v1/configs/o/broken')).status).toBe(200);
      const raw = await service.get('/api/v1/configs/o/broken?raw');
      expect([raw.status, raw.text, raw.header('x-evil')]).toEqual([200, 'y', undefined]);
    }
  });
});
