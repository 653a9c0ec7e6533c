import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';
import type { RawRequest } from '../support/http-exchange.ts';

describe('a conditional read', () => {
  let service: HttpService;
  let etag = '';

  beforeAll(async () => {
    service = await HttpService.start();
    etag = `"${(await service.put('c', { value: 1 })).json().etag}"`;
    await service.set('other', 1);
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('the tag is strong, "<epoch>-<version>", and the item’s etag without quotes', async () => {
    const answer = await service.get('/api/v1/configs/c');
    const { version, etag: unquoted } = answer.json();
    expect(answer.header('etag')).toBe(`"${unquoted}"`);
    expect(unquoted).toMatch(new RegExp(`^[0-9a-f]{16}-${version}$`));
    expect(answer.header('cache-control')).toBe('private, no-cache');
    expect(answer.header('last-modified')).toBeUndefined();
    expect(answer.header('expires')).toBeUndefined();
    expect(answer.header('age')).toBeUndefined();
  });

  it.each(['TAG', '"x", TAG', 'TAG,"x"', 'W/TAG', '"x", W/TAG', '*'])(
    'If-None-Match: %s is 304 without a body, with the headers of the 200',
    async (pattern) => {
      for (const path of ['/api/v1/configs/c', '/api/v1/configs/c?raw', '/api/v1/configs/c?pretty']) {
        const full = await service.get(path);
        const answer = await service.get(path, { 'If-None-Match': pattern.replace('TAG', etag) });
        expect(answer.status).toBe(304);
        for (const name of ['etag', 'cache-control', 'vary']) expect([name, answer.header(name)]).toEqual([name, full.header(name)]);
        expect(answer.header('attune-cursor')).toBe(full.header('attune-cursor'));
        expect(answer.header('content-type')).toBeUndefined();
      }
    },
  );

  it.each(['"x"', '"ffff-2"', 'W/"x", "y"'])('If-None-Match: %s is 200', async (header) => {
    expect((await service.get('/api/v1/configs/c', { 'If-None-Match': header })).status).toBe(200);
  });

  it('of an absent key is 404, whatever was known of it', async () => {
    for (const header of ['*', etag]) expect((await service.get('/api/v1/configs/absent', { 'If-None-Match': header })).status).toBe(404);
  });

  it('a browser’s reload is answered 304 all the same: the answer is true', async () => {
    expect((await service.get('/api/v1/configs/c', { 'If-None-Match': etag, 'Cache-Control': 'no-cache' })).status).toBe(304);
  });

  it('a date is no validator', async () => {
    expect((await service.get('/api/v1/configs/c', { 'If-Modified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT' })).status).toBe(200);
  });

  it('of a list is 304 until anything changes', async () => {
    const list = await service.get('/api/v1/configs?prefix=c');
    const tag = list.header('etag') ?? '';
    expect(tag).toBe(`"${list.json().cursor}"`);
    const same = await service.get('/api/v1/configs?prefix=c', { 'If-None-Match': tag });
    expect([same.status, same.header('etag'), same.header('cache-control')]).toEqual([304, tag, 'private, no-cache']);
    await service.set('other', 2);
    expect((await service.get('/api/v1/configs?prefix=c', { 'If-None-Match': tag })).status).toBe(200);
  });
});

describe('a conditional write', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  const put = (key: string, value: unknown, headers: RawRequest['headers'] = {}, query = '') =>
    service.send({
      method: 'PUT',
      path: `/api/v1/configs/${key}${query}`,
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify({ value }),
    });
  const remove = (key: string, headers: RawRequest['headers'] = {}, query = '') =>
    service.send({ method: 'DELETE', path: `/api/v1/configs/${key}${query}`, headers });

  it('201 creates, 200 changes, both with ETag and Location', async () => {
    const first = await put('w/a%20b', 1);
    const second = await put('w/a%20b', 2);
    expect([first.status, second.status]).toEqual([201, 200]);
    for (const answer of [first, second]) {
      expect(answer.header('location')).toBe('/api/v1/configs/w/a%20b');
      expect(answer.header('etag')).toBe(`"${answer.json().etag}"`);
      expect(answer.header('cache-control')).toBe('no-store');
    }
    expect(second.json()).toMatchObject({ createdVersion: first.json().version, value: 2 });
    expect(second.json().version).toBeGreaterThan(first.json().version);
    expect(second.header('attune-revision')).toBe(String(second.json().version));
  });

  it('If-Match lets the holder of the newest tag through, once', async () => {
    const { etag } = (await put('m', 1)).json();
    expect((await put('m', 2, { 'If-Match': `"x", "${etag}"` })).status).toBe(200);
    const late = await put('m', 3, { 'If-Match': `"${etag}"` });
    expect(late.status).toBe(412);
    expect((await service.item('m')).value).toBe(2);
  });

  it('If-Match: * asks for an item, If-None-Match: * for none', async () => {
    expect((await put('star', 1, { 'If-Match': '*' })).status).toBe(412);
    expect((await put('star', 1, { 'If-None-Match': '*' })).status).toBe(201);
    expect((await put('star', 2, { 'If-None-Match': '*' })).status).toBe(412);
    expect((await put('star', 2, { 'If-Match': '*' })).status).toBe(200);
    expect((await remove('star', { 'If-Match': '*' })).status).toBe(204);
    expect((await put('star', 3, { 'If-None-Match': '*' })).status).toBe(201);
  });

  it('ifVersion is the same for shells, 0 for no item', async () => {
    const made = await put('v', 1, {}, '?ifVersion=0');
    expect(made.status).toBe(201);
    expect((await put('v', 2, {}, '?ifVersion=0')).status).toBe(412);
    const changed = await put('v', 2, {}, `?ifVersion=${made.json().version}`);
    expect(changed.status).toBe(200);
    expect((await put('v', 3, {}, `?ifVersion=${made.json().version}`)).status).toBe(412);
    expect((await remove('v', {}, `?ifVersion=${made.json().version}`)).status).toBe(412);
    expect((await remove('v', {}, `?ifVersion=${changed.json().version}`)).status).toBe(204);
    expect((await put('v', 4, {}, `?ifVersion=${changed.json().version}`)).status).toBe(412);
    expect((await put('v', 4, {}, '?ifVersion=0')).status).toBe(201);
  });

  it('412 tells what is there, so that nobody has to ask again', async () => {
    const item = (await put('t', 1)).json();
    const conflict = await put('t', 2, { 'If-Match': '"ffff-1"' });
    expect(conflict.status).toBe(412);
    expect(conflict.json()).toMatchObject({ code: 'CONFLICT', current: { version: item.version, etag: item.etag } });
    expect(Object.keys(conflict.json().current).every((name) => ['version', 'etag', 'updatedBy'].includes(name))).toBe(true);
    expect((await put('none', 2, { 'If-Match': '"ffff-1"' })).json().current).toBeNull();
    expect((await put('t', 2, { 'If-Match': `"${conflict.json().current.etag}"` })).status).toBe(200);
  });

  it('a delete of an absent key is 404, and 412 if it had a condition', async () => {
    expect((await remove('absent')).json().code).toBe('NOT_FOUND');
    for (const headers of [{ 'If-Match': '*' }, { 'If-Match': '"ffff-1"' }])
      expect((await remove('absent', headers)).json().code).toBe('CONFLICT');
    expect((await remove('absent', {}, '?ifVersion=7')).json().code).toBe('CONFLICT');
  });

  it('204 has no body and no type', async () => {
    await put('gone', 1);
    const answer = await remove('gone');
    expect([answer.status, answer.body.length, answer.header('content-type'), answer.header('content-length')]).toEqual([
      204,
      0,
      undefined,
      undefined,
    ]);
    expect(Number(answer.header('attune-revision'))).toBeGreaterThan(0);
  });

  it('of ten writers with one condition exactly one wins', async () => {
    const { etag, version } = (await put('race', 0)).json();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        index % 2 ? put('race', index + 1, { 'If-Match': `"${etag}"` }) : put('race', index + 1, {}, `?ifVersion=${version}`),
      ),
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(9);
    expect(await service.item('race')).toEqual(won[0]?.json());
  });

  it('of ten writers that create exactly one wins', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => put('born', index, { 'If-None-Match': '*' })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array<number>(9).fill(412)]);
  });

  it('a write of another tool between two of ours is a conflict', async () => {
    const { etag } = (await put('mixed', 1)).json();
    await service.outside({ mixed: '5' });
    expect((await put('mixed', 2, { 'If-Match': `"${etag}"` })).status).toBe(412);
    expect((await service.item('mixed')).value).toBe(5);
  });

  it('a tag of another history is never true, although its number is', async () => {
    const { version } = (await put('epoch', 1)).json();
    expect((await put('epoch', 2, { 'If-Match': `"0000000000000000-${version}"` })).status).toBe(412);
  });

  it('unconditional writes all succeed: one after the other', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => put('free', index)));
    expect(answers.every(({ status }) => status === 200 || status === 201)).toBe(true);
    expect(new Set(answers.map((answer) => answer.json().version)).size).toBe(20);
    const last = answers.map((answer) => answer.json()).sort((a, b) => b.version - a.version)[0];
    expect(await service.item('free')).toEqual(last);
  });
});
