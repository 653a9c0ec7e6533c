import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import type { Answer } from '../support/http-exchange.ts';
import { HttpService } from '../support/http-service.ts';

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Keys chosen so that folders, keys named as folders, and the order of bytes meet. */
const KEYS = [
  'a',
  'a-b',
  'a/1',
  'a/2/x',
  'a/2/y/z',
  'a/3',
  'a0',
  'b/1',
  'b/2',
  'c',
  'c/d/e/f',
  'é/1',
  '\uffff',
  '😀/1',
  '😀/2',
  'z',
] as const;

const next = (answer: Answer): string | undefined => /^<(.*)>; rel="next"$/.exec(answer.header('link') ?? '')?.[1];

async function walk(service: HttpService, first: string): Promise<readonly Answer[]> {
  const pages: Answer[] = [];
  for (let path: string | undefined = first; path !== undefined; path = next(pages.at(-1)!)) pages.push(await service.get(path));
  return pages;
}

/** What a folder listing is, in the most obvious words. */
function folded(prefix: string): { readonly items: readonly string[]; readonly prefixes: readonly string[] } {
  const under = KEYS.filter((key) => key.startsWith(prefix));
  const cut = under.map((key) => {
    const slash = key.indexOf('/', prefix.length);
    return slash < 0 ? key : key.slice(0, slash + 1);
  });
  return {
    items: cut.filter((name) => !name.endsWith('/')).toSorted(byBytes),
    prefixes: [...new Set(cut.filter((name) => name.endsWith('/')))].toSorted(byBytes),
  };
}

const keysOf = (answer: Answer): readonly string[] => answer.json().items.map((item: { key: string }) => item.key);

describe('a list', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
    await service.outside(Object.fromEntries(KEYS.map((key) => [key, JSON.stringify(key)])));
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('is every item in the order of bytes, as of the revision and cursor it names', async () => {
    const answer = await service.get('/api/v1/configs');
    expect(keysOf(answer)).toEqual(KEYS.toSorted(byBytes));
    const { revision, cursor, items, ...rest } = answer.json();
    expect(rest).toEqual({});
    expect([String(revision), cursor, `"${cursor}"`]).toEqual([
      answer.header('attune-revision'),
      answer.header('attune-cursor'),
      answer.header('etag'),
    ]);
    expect(items[0]).toEqual(await service.item('a'));
    expect(answer.header('cache-control')).toBe('private, no-cache');
    expect(answer.header('link')).toBeUndefined();
  });

  it.each(['', 'a', 'a/', 'a/2', 'a/2/', 'b/', 'c', 'é', '😀', '😀/', 'nothing', 'z'])(
    'of prefix %j is what starts with it',
    async (prefix) => {
      const answer = await service.get(`/api/v1/configs?prefix=${encodeURIComponent(prefix)}`);
      expect(keysOf(answer)).toEqual(KEYS.filter((key) => key.startsWith(prefix)).toSorted(byBytes));
    },
  );

  it.each(['', 'a', 'a/', 'a/2', 'a/2/', 'b', 'b/', 'c', 'c/', 'c/d/', 'é', '😀/', 'nothing'])(
    'of prefix %j folds deeper keys into folders',
    async (prefix) => {
      const answer = await service.get(`/api/v1/configs?delimiter=/&prefix=${encodeURIComponent(prefix)}`);
      const expected = folded(prefix);
      expect([keysOf(answer), answer.json().prefixes]).toEqual([expected.items, expected.prefixes]);
    },
  );

  it.each(
    ['', 'a', 'a/', '😀'].flatMap((prefix) =>
      [1, 2, 3, 5, 16, 17].flatMap((limit) => [false, true].map((isFolded) => [prefix, limit, isFolded] as const)),
    ),
  )('of prefix %j in pages of %d (folded: %s) is the same list, nothing twice, nothing missing', async (prefix, limit, isFolded) => {
    const path = `/api/v1/configs?limit=${limit}&prefix=${encodeURIComponent(prefix)}${isFolded ? '&delimiter=/' : ''}`;
    const pages = await walk(service, path);
    const expected = isFolded ? folded(prefix) : { items: KEYS.filter((key) => key.startsWith(prefix)).toSorted(byBytes), prefixes: [] };
    expect(pages.flatMap(keysOf)).toEqual(expected.items);
    expect(pages.flatMap((page) => page.json().prefixes ?? [])).toEqual(expected.prefixes);
    for (const [index, page] of pages.entries()) {
      const size = keysOf(page).length + (page.json().prefixes?.length ?? 0);
      expect(size).toBeLessThanOrEqual(limit);
      // A page that is not the last is full, and the last is not empty unless it is the only one.
      if (index < pages.length - 1) expect(size).toBe(limit);
      else if (index > 0) expect(size).toBeGreaterThan(0);
      expect(page.json().next).toBe(next(page));
      expect(page.json().cursor).toBe(pages[0]?.json().cursor);
    }
  });

  it('the next page is a relative URL that keeps every parameter', async () => {
    const page = await service.get('/api/v1/configs?prefix=a&limit=1&delimiter=/&keysOnly&pretty');
    const url = new URL(page.json().next, 'http://x');
    expect(url.pathname).toBe('/api/v1/configs');
    expect(page.json().next).toMatch(/^\/api/);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ prefix: 'a', limit: '1', delimiter: '/', keysOnly: 'true', after: 'a' });
  });

  it('after starts behind a key, whether or not it exists', async () => {
    const after = async (key: string, query = ''): Promise<readonly string[]> =>
      keysOf(await service.get(`/api/v1/configs?after=${encodeURIComponent(key)}${query}`));
    const sorted = KEYS.toSorted(byBytes);
    for (const key of ['a', 'a-b', 'a/1', 'a/15', 'a/2', 'b', 'c/d', '😀/1', 'zz', '\u{10ffff}']) {
      expect([key, await after(key)]).toEqual([key, sorted.filter((other) => byBytes(other, key) > 0)]);
    }
    // A key position that ends in a slash is not a folder unless folders are asked for.
    expect(await after('a/')).toEqual(sorted.filter((key) => byBytes(key, 'a/') > 0));
    expect(await after('a/', '&delimiter=/')).toEqual(['a0', 'c', 'z', '\uffff']);
    expect(await after('a/', '&delimiter=/&prefix=a/')).toEqual(['a/1', 'a/3']);
    expect(await after('a', '&prefix=b/')).toEqual(['b/1', 'b/2']);
    expect(await after('c', '&prefix=b/')).toEqual([]);
  });

  it('keysOnly gives keys and versions, raw an object of values', async () => {
    const keysOnly = (await service.get('/api/v1/configs?prefix=b/&keysOnly')).json();
    expect(keysOnly.items).toEqual([
      { key: 'b/1', version: expect.any(Number) },
      { key: 'b/2', version: expect.any(Number) },
    ]);
    const raw = await service.get('/api/v1/configs?prefix=b/&raw');
    expect(raw.text).toBe('{"b/1":"b/1","b/2":"b/2"}\n');
    expect((await service.get('/api/v1/configs?prefix=nothing&raw')).text).toBe('{}\n');
    expect((await walk(service, '/api/v1/configs?raw&limit=3')).reduce((all, page) => ({ ...all, ...page.json() }), {})).toEqual(
      Object.fromEntries(KEYS.map((key) => [key, key])),
    );
  });

  it('has 1,000 items unless another number is asked for, at most 10,000', async () => {
    const names = Array.from({ length: 1_001 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
    for (let at = 0; at < names.length; at += 100)
      await service.outside(Object.fromEntries(names.slice(at, at + 100).map((key) => [key, '1'])));
    const pages = await walk(service, '/api/v1/configs?prefix=many/');
    expect(pages.map((page) => keysOf(page).length)).toEqual([1_000, 1]);
    expect(keysOf(await service.get('/api/v1/configs?prefix=many/&limit=10000'))).toHaveLength(1_001);
  });
});

describe('a list read page by page while keys change', () => {
  it('loses nothing: what the pages missed follows the first page’s cursor', async () => {
    await using service = await HttpService.start();
    for (let index = 0; index < 20; index++) await service.set(`k/${String(index).padStart(2, '0')}`, 0);
    const copy = new Map<string, { version: number; value: unknown }>();
    let path: string | undefined = '/api/v1/configs?prefix=k/&limit=3';
    let cursor = '';
    for (let page = 0; path !== undefined; page++) {
      const answer = await service.get(path);
      cursor ||= answer.json().cursor;
      expect(answer.json().cursor).toBe(cursor);
      for (const { key, version, value } of answer.json().items) copy.set(key, { version, value });
      path = next(answer);
      // Behind, at and before the page that was just read: changed, deleted, made.
      await service.set(`k/0${page}`, page + 1);
      await service.set(`k/1${page}`, page + 1);
      if (page < 3) await service.delete(`k/${String(page * 6 + 2).padStart(2, '0')}`);
      await service.set(`k/0${page}-new`, page);
      await service.set(`k/zz${page}`, page);
    }
    for (let isBehind = true; isBehind;) {
      const poll = (await service.get(`/api/v1/configs?watch&prefix=k/&since=${cursor}&wait=0s`)).json();
      isBehind = poll.changes.length > 0;
      cursor = poll.cursor;
      for (const { type, key, version, newValue } of poll.changes) {
        if (type === 'deleted') copy.delete(key);
        else copy.set(key, { version, value: newValue });
      }
    }
    const truth = (await service.get('/api/v1/configs?prefix=k/&limit=1000')).json().items;
    expect([...copy.keys()].toSorted(byBytes)).toEqual(truth.map((item: { key: string }) => item.key));
    for (const { key, version, value } of truth) expect(copy.get(key)).toEqual({ version, value });
  });

  it('never continues on a node that is behind the first page', async () => {
    const store = new MemoryProvider();
    await using ahead = await HttpService.start({ store });
    const provider = new FaultyProvider(store);
    await using behind = await HttpService.start({ provider, store });
    for (const key of ['a', 'b']) await ahead.set(key, 1);
    await behind.server.service.reached(ahead.server.service.revision);
    provider.hold();
    await ahead.set('c', 1);
    const first = await ahead.get('/api/v1/configs?limit=1');
    const page = behind.get(next(first) ?? '');
    // Held until the node has caught up, or refused: never a page that lacks "c".
    setTimeout(() => provider.release(), 100);
    const second = await page;
    expect(second.status).toBe(200);
    const third = await behind.get(next(second) ?? '');
    expect(keysOf(third)).toEqual(['c']);
  });

  it('is refused with a cursor that the store has not reached', async () => {
    await using service = await HttpService.start();
    const cursor = (await service.cursor()).replace(/\d+$/, '999999');
    const answer = await service.get(`/api/v1/configs?cursor=${cursor}`);
    expect([answer.status, answer.json().reason]).toEqual([410, 'ahead']);
  });
});
