import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../support/http-exchange.ts';
import { held, HttpService } from '../support/http-service.ts';

describe('a read that prefers to wait', () => {
  let service: HttpService;
  let etag = '';
  let count = 0;
  let key = '';

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  beforeEach(async () => {
    key = `s/${count++}`;
    etag = `"${(await service.put(key, { value: 'old' })).json().etag}"`;
  });

  const wait = (prefer = 'wait=30', query = '', headers: Record<string, string> = { 'If-None-Match': etag }): Promise<Answer> =>
    service.get(`/api/v1/configs/${key}${query}`, { Prefer: prefer, ...headers });

  /** What a plain read answers, with what only a held one carries. */
  async function expectPlain(answer: Answer, query = ''): Promise<void> {
    const plain = await service.get(`/api/v1/configs/${key}${query}`);
    expect([answer.status, answer.text, answer.header('etag'), answer.header('content-type')]).toEqual([
      plain.status,
      plain.text,
      plain.header('etag'),
      plain.header('content-type'),
    ]);
    expect(answer.header('preference-applied')).toBe('wait=30');
    expect(answer.header('cache-control')).toBe('no-store');
    expect(answer.header('vary')).toContain('Prefer');
  }

  it.each(['', '?raw', '?pretty'])('is held until the item changes, then is what a plain GET%s answers', async (query) => {
    const poll = wait('wait=30', query);
    await held(service, 1);
    await service.set(key, 'new');
    const answer = await poll;
    expect(answer.status).toBe(200);
    await expectPlain(answer, query);
  });

  it('is 404 when the key is deleted', async () => {
    const poll = wait();
    await held(service, 1);
    await service.delete(key);
    const answer = await poll;
    expect([answer.status, answer.json().code, answer.header('preference-applied')]).toEqual([404, 'NOT_FOUND', 'wait=30']);
  });

  it('is 304 at the end of the time, with the headers of a 304', async () => {
    const answer = await wait('wait=1');
    expect([answer.status, answer.header('etag'), answer.header('preference-applied'), answer.header('cache-control')]).toEqual([
      304,
      etag,
      'wait=1',
      'no-store',
    ]);
    expect(answer.header('vary')).toContain('Prefer');
    expect(answer.header('attune-cursor')).toBe(await service.cursor());
  });

  it('sees a change of metadata, one by another tool, and one made of two between polls', async () => {
    for (const change of [() => service.put(key, { metadata: { a: 'b' } }), () => service.outside({ [key]: '"outside"' })]) {
      etag = (await service.get(`/api/v1/configs/${key}`)).header('etag') ?? '';
      const poll = wait();
      await held(service, 1);
      await change();
      expect((await poll).status).toBe(200);
    }
    etag = (await service.get(`/api/v1/configs/${key}`)).header('etag') ?? '';
    // A-B-A: the value is what it was, the item is not.
    await service.set(key, 'b');
    await service.set(key, 'outside');
    const answer = await wait();
    expect([answer.status, answer.json().value]).toEqual([200, 'outside']);
  });

  it('sleeps through other keys, "nothing changed", and writes elsewhere in the store', async () => {
    const poll = wait();
    await held(service, 1);
    await service.set(`${key}-other`, 1);
    await service.set(`${key}/below`, 1);
    await service.set(key, 'old');
    await service.elsewhere();
    expect(service.server.polls.size).toBe(1);
    await service.set(key, 'new');
    expect((await poll).json().value).toBe('new');
  });

  it('is answered at once when the state is not the one named', async () => {
    await service.set(key, 'new');
    expect((await wait()).json().value).toBe('new');
    expect((await wait('wait=30', '', { 'If-None-Match': '"ffff-1"' })).json().value).toBe('new');
  });

  it('is held for any of the tags named, weak ones too, and for *', async () => {
    for (const header of [() => `"x", ${etag}`, () => `W/${etag}`, () => '*']) {
      const poll = wait('wait=30', '', { 'If-None-Match': header() });
      await held(service, 1);
      await service.set(`${key}-other`, header());
      expect(service.server.polls.size).toBe(1);
      if (header() === '*') await service.delete(key);
      else etag = (await service.put(key, { value: header() })).header('etag') ?? '';
      expect((await poll).status).toBe(header() === '*' ? 404 : 200);
    }
  });

  it('without If-None-Match the preference is ignored', async () => {
    const answer = await wait('wait=30', '', {});
    expect([answer.status, answer.header('preference-applied'), answer.header('cache-control')]).toEqual([
      200,
      undefined,
      'private, no-cache',
    ]);
    expect(answer.header('vary')).toContain('Prefer');
  });

  it('of an absent key is 404 at once: no tag is true of it', async () => {
    await service.delete(key);
    expect((await wait()).status).toBe(404);
    expect((await wait('wait=30', '', { 'If-None-Match': '*' })).status).toBe(404);
  });

  it.each(['wait=0', 'wait', 'wait=', 'wait=x', 'wait=-1', 'wait=1.5', 'respond-async', 'await=30', 'wait=30s', ''])(
    'a preference that is not understood is ignored: %j',
    async (prefer) => {
      const answer = await wait(prefer);
      expect([answer.status, answer.header('preference-applied')]).toEqual([304, undefined]);
    },
  );

  it.each(['wait=30', 'WAIT=30', 'respond-async, wait=30', 'wait = 30', 'wait="30"', 'wait=30; foo', 'wait=30, handling=strict'])(
    'is understood as the RFC spells it: %j',
    async (prefer) => {
      const poll = wait(prefer);
      await held(service, 1);
      await service.set(key, 'new');
      expect((await poll).header('preference-applied')).toBe('wait=30');
    },
  );

  it('waits 120 s at most, and says so', async () => {
    const poll = wait('wait=3600');
    await held(service, 1);
    await service.set(key, 'new');
    expect((await poll).header('preference-applied')).toBe('wait=120');
  });
});
