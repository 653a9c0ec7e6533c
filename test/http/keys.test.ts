import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';

/** A key and the ways in which its path may be spelled. */
const KEYS: readonly (readonly [key: string, ...spellings: string[]])[] = [
  ['app', 'app', '%61pp'],
  ['app/pool-size', 'app/pool-size', 'app%2Fpool-size', 'app%2fpool-size', '%61%70%70/pool%2Dsize'],
  ['a/b/c/d', 'a/b/c/d', 'a%2Fb/c%2Fd', 'a%2Fb%2Fc%2Fd'],
  ['with space', 'with%20space'],
  ['a+b', 'a+b', 'a%2Bb'],
  ['100%', '100%25'],
  ['50%2F50', '50%252F50'],
  ['a%2', 'a%252'],
  ['a?b', 'a%3Fb'],
  ['a#b', 'a%23b'],
  ['a&b=c', 'a&b=c', 'a%26b%3Dc'],
  ["it's/(so)!*", "it's/(so)!*", 'it%27s/%28so%29%21%2A'],
  ['quote"back\\slash', 'quote%22back%5Cslash'],
  ['a;b,c:d@e$f', 'a;b,c:d@e$f', 'a%3Bb%2Cc%3Ad%40e%24f'],
  ['<script>/{x}|^`~[y]', '%3Cscript%3E/%7Bx%7D%7C%5E%60~%5By%5D'],
  [
    'ключ/значение',
    '%D0%BA%D0%BB%D1%8E%D1%87/%D0%B7%D0%BD%D0%B0%D1%87%D0%B5%D0%BD%D0%B8%D0%B5',
    '%d0%ba%d0%bb%d1%8e%d1%87%2F%d0%b7%d0%bd%d0%b0%d1%87%d0%b5%d0%bd%d0%b8%d0%b5',
  ],
  ['caf\u00e9', 'caf%C3%A9'],
  ['cafe\u0301', 'cafe%CC%81'],
  ['emoji/😀', 'emoji/%F0%9F%98%80'],
  ['\u2028/\ufeff', '%E2%80%A8/%EF%BB%BF'],
  ['\u{10ffff}', '%F4%8F%BF%BF'],
  ['.hidden/...', '.hidden/...', '%2Ehidden/%2E%2E%2E'],
  ['a./.b', 'a./.b'],
  ['__proto__/constructor', '__proto__/constructor'],
  ['attune/.attuned', 'attune/.attuned'],
  ['k'.repeat(512), 'k'.repeat(512)],
  ['é'.repeat(256), '%C3%A9'.repeat(256)],
  ['watch', 'watch'],
  ['api/v1/configs/x', 'api/v1/configs/x'],
];

describe('a key', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it.each(KEYS)('%s is one key in every spelling of its path', async (key, ...spellings) => {
    const paths = spellings.map((spelling) => `/api/v1/configs/${spelling}`);
    for (const [index, path] of paths.entries()) {
      const made = await service.send({
        method: 'PUT',
        path,
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ value: index }),
      });
      expect(made.status).toBe(index === 0 ? 201 : 200);
      expect(made.json()).toMatchObject({ key, value: index });
      for (const other of [...paths, made.header('location') ?? '']) {
        const read = await service.get(other);
        expect([read.status, read.json().key, read.json().version]).toEqual([200, key, made.json().version]);
      }
    }
    const query = encodeURIComponent(key);
    const listed = (await service.get(`/api/v1/configs?prefix=${query}`)).json();
    expect(listed.items.map((item: { key: string }) => item.key)).toEqual([key]);
    const polled = (
      await service.get(`/api/v1/configs?watch&wait=0s&key=${query}&since=${(await service.cursor()).replace(/-\d+$/, '-0')}`)
    ).json();
    expect(new Set(polled.changes.map((change: { key: string }) => change.key))).toEqual(new Set([key]));
    const stream = await service.stream(`?snapshot&key=${query}`);
    expect((await stream.event()).data.items[0].key).toBe(key);
    stream.close();
    expect((await service.send({ method: 'DELETE', path: paths.at(-1) ?? '' })).status).toBe(204);
    for (const path of paths) expect((await service.get(path)).status).toBe(404);
  });

  it('is taken as it is spelled: case, composed and decomposed letters make different keys', async () => {
    for (const [index, key] of ['Case', 'case', 'caf%C3%A9', 'cafe%CC%81'].entries()) await service.set(key, index);
    const { items } = (await service.get('/api/v1/configs?keysOnly')).json();
    expect(items.map((item: { key: string }) => item.key)).toEqual(['Case', 'cafe\u0301', 'caf\u00e9', 'case']);
  });

  it('of another tool outside the grammar is skipped and counted, never an item', async () => {
    await service.outside({ 'odd/fine': '1', 'odd//x': '1', '../odd': '1', 'odd/': '1', 'odd/\n': '1', 'odd/.attune/x': '1', '': '1' });
    const { items } = (await service.get('/api/v1/configs?keysOnly&prefix=odd')).json();
    expect(items.map((item: { key: string }) => item.key)).toEqual(['odd/fine']);
    expect((await service.get('/api/v1/status')).json().skippedKeys).toBe(6);
    const stream = await service.stream('?snapshot&prefix=odd');
    expect((await stream.event()).data.items.map((item: { key: string }) => item.key)).toEqual(['odd/fine']);
    await service.outside({ 'odd//x': null, 'odd/': '2' });
    expect((await service.get('/api/v1/status')).json().skippedKeys).toBe(5);
  });
});
