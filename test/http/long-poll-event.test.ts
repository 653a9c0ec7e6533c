import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { FaultyProvider } from '../support/faulty-provider.ts';
import { encodeRequest, type Answer } from '../support/http-exchange.ts';
import { held, HttpService } from '../support/http-service.ts';

describe('a long-poll for one key', () => {
  let service: HttpService;
  let count = 0;
  let key = '';
  let version = 0;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  beforeEach(async () => {
    key = `e/${count++}`;
    version = await service.set(key, 'old');
  });

  const watch = (query = ''): Promise<Answer> => service.get(`/api/v1/configs/${key}?watch${query}`);

  it('is held while the version is the one named, then tells the change', async () => {
    const poll = watch(`&version=${version}`);
    await held(service, 1);
    const changed = await service.set(key, 'new');
    const answer = await poll;
    expect([answer.status, answer.header('cache-control'), answer.header('content-type')]).toEqual([
      200,
      'no-store',
      'application/json; charset=utf-8',
    ]);
    expect(answer.json()).toEqual({
      type: 'updated',
      key,
      oldValue: 'old',
      newValue: 'new',
      version: changed,
      timestamp: expect.stringMatching(/Z$/),
      metadata: {},
      contentType: 'application/json',
    });
  });

  it('is answered at once for any other version, older or newer', async () => {
    for (const known of [1, version - 1, version + 1, Number.MAX_SAFE_INTEGER]) {
      const answer = await watch(`&version=${known}`);
      expect([answer.status, answer.json().version, answer.json().newValue]).toEqual([200, version, 'old']);
    }
  });

  it('tells a reader who knew nothing that the key was created', async () => {
    expect((await watch('&version=0')).json()).toMatchObject({ type: 'created', oldValue: null, newValue: 'old', version });
  });

  it('tells a deletion, and what was there', async () => {
    const poll = watch(`&version=${version}`);
    await held(service, 1);
    await service.delete(key);
    const deleted = (await poll).json();
    expect(deleted).toMatchObject({ type: 'deleted', oldValue: 'old', newValue: null });
    expect(deleted.version).toBe(service.server.service.revision);
    // At once, for whoever does not know of it yet.
    expect((await watch(`&version=${version}`)).json()).toEqual(deleted);
    expect((await watch('&version=1')).json()).toEqual(deleted);
  });

  it('of an absent key is held for version 0 and for the version of its deletion or later', async () => {
    for (const later of [undefined, 0, 5, 1_000_000]) {
      await service.delete(key);
      const known = later === undefined ? 0 : service.server.service.revision + later;
      const poll = watch(`&version=${known}`);
      await held(service, 1);
      const made = await service.set(key, known);
      expect((await poll).json()).toMatchObject({ type: 'created', oldValue: null, newValue: known, version: made });
    }
  });

  it('of a key deleted by another tool is answered at once for an older version, and then held', async () => {
    const deletedAt = await service.outside({ [key]: null });
    expect((await watch(`&version=${version}`)).json()).toMatchObject({ type: 'deleted', version: deletedAt, timestamp: null });
    const poll = watch(`&version=${deletedAt}`);
    await held(service, 1);
    await service.set(key, 1);
    expect((await poll).json().type).toBe('created');
  });

  it('of a key that another tool made again over a tombstone, and deleted, tells that deletion', async () => {
    await service.delete(key);
    const made = await service.outside({ [key]: '1' });
    const deletedAt = await service.outside({ [key]: null });
    for (const known of [version, made - 1, made])
      expect((await watch(`&version=${known}`)).json()).toMatchObject({ type: 'deleted', version: deletedAt });
    const poll = watch(`&version=${deletedAt}`);
    await held(service, 1);
    await service.set(key, 2);
    expect((await poll).json()).toMatchObject({ type: 'created', newValue: 2 });
  });

  it('of a key that never was is held', async () => {
    key = `${key}/never`;
    for (const query of ['', '&version=0', `&version=${version + 1_000}`]) {
      const poll = watch(query);
      await held(service, 1);
      await service.set(key, 1);
      expect((await poll).json()).toMatchObject({ type: 'created', key });
      await service.delete(key);
    }
  });

  it('without a version tells the next change from now', async () => {
    const poll = watch();
    await held(service, 1);
    await service.set(`${key}-other`, 1);
    expect(service.server.polls.size).toBe(1);
    await service.set(key, 'next');
    expect((await poll).json()).toMatchObject({ type: 'updated', oldValue: 'old', newValue: 'next' });
  });

  it('sees a change of metadata only, and one from A over B back to A', async () => {
    await service.put(key, { metadata: { a: 'b' } });
    const first = (await watch(`&version=${version}`)).json();
    expect(first).toMatchObject({ type: 'updated', newValue: 'old', metadata: { a: 'b' } });
    await service.set(key, 'B');
    await service.set(key, 'old');
    const second = (await watch(`&version=${first.version}`)).json();
    expect(second).toMatchObject({ newValue: 'old' });
    expect(second.version).toBeGreaterThan(first.version);
  });

  it('is not woken by a write that changes nothing', async () => {
    const poll = watch(`&version=${version}`);
    await held(service, 1);
    await service.set(key, 'old');
    expect(service.server.polls.size).toBe(1);
    await service.set(key, 'new');
    expect((await poll).json().newValue).toBe('new');
  });

  it.each(['0s', '0ms', '1ms', '200ms'])('of %s ends with 304, its tag and no body', async (time) => {
    const answer = await watch(`&version=${version}&wait=${time}`);
    expect([answer.status, answer.body.length, answer.header('etag'), answer.header('cache-control')]).toEqual([
      304,
      0,
      (await service.get(`/api/v1/configs/${key}`)).header('etag'),
      'no-store',
    ]);
  });

  it('takes every spelling of the longest wait', async () => {
    const polls = ['120s', '2m', '120000ms'].map((time) => watch(`&wait=${time}`));
    await held(service, 3);
    await service.set(key, 'new');
    expect((await Promise.all(polls)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('of a client that left is not held on', async () => {
    const socket = connect(service.port, '127.0.0.1');
    socket.write(encodeRequest(service.port, { path: `/api/v1/configs/${key}?watch` }));
    await held(service, 1);
    socket.destroy();
    await held(service, 0);
  });

  it('wakes all who wait, each with the same event', async () => {
    const polls = Array.from({ length: 20 }, () => watch(`&version=${version}`));
    await held(service, 20);
    await service.set(key, 'new');
    const texts = new Set((await Promise.all(polls)).map(({ text }) => text));
    expect(texts.size).toBe(1);
    await held(service, 0);
  });

  it('misses nothing while writes go on between its polls', async () => {
    const last = 150;
    const writes = (async () => {
      for (let index = 1; index <= last; index++) await service.set(key, index);
    })();
    let known = version;
    let value: unknown = 'old';
    while (value !== last) {
      const event = (await watch(`&version=${known}&wait=10s`)).json();
      expect(event.version).toBeGreaterThan(known);
      expect(event.newValue).toBeGreaterThan(value === 'old' ? 0 : Number(value));
      [known, value] = [event.version, event.newValue];
    }
    await writes;
    expect((await service.item(key)).version).toBe(known);
  });
});

describe('an event whose past the node no longer knows', () => {
  const window = { minAgeMs: 0, minBatches: 1, maxBytes: 1_000_000 };

  /** Pushes everything before out of the window. */
  async function forget(service: HttpService): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let index = 0; index < 4; index++) await service.set('other', Math.random());
  }

  const ask = async (service: HttpService, version: number) => (await service.get(`/api/v1/configs/k?watch&version=${version}`)).json();

  it('leaves the old value out of an update', async () => {
    await using service = await HttpService.start({ service: { window } });
    const version = await service.set('k', 'a');
    const { version: newest } = (await service.put('k', { value: 'c', metadata: { owner: 'ann' } })).json();
    await forget(service);
    expect(await ask(service, version)).toEqual({
      type: 'updated',
      key: 'k',
      newValue: 'c',
      version: newest,
      timestamp: expect.stringMatching(/Z$/),
      metadata: { owner: 'ann' },
      contentType: 'application/json',
    });
    expect(await ask(service, 0)).toMatchObject({
      type: 'created',
      oldValue: null,
      newValue: 'c',
      version: newest,
      metadata: { owner: 'ann' },
    });
  });

  it('is a creation for a reader of what was there before the key was last absent', async () => {
    await using service = await HttpService.start({ service: { window } });
    const version = await service.set('k', 'a');
    await service.delete('k');
    const made = await service.set('k', 'b');
    const newest = await service.set('k', 'c');
    await forget(service);
    expect(await ask(service, version)).toMatchObject({ type: 'created', oldValue: null, newValue: 'c', version: newest });
    expect((await ask(service, made)).type).toBe('updated');
  });

  it('leaves the old value out of a deletion, and keeps what the tombstone tells', async () => {
    await using service = await HttpService.start({ service: { window } });
    const { version } = (await service.put('k', { value: 'x', contentType: 'text/x-ini', metadata: { owner: 'ann' } })).json();
    await service.delete('k');
    const deletedAt = service.server.service.revision;
    await forget(service);
    expect(await ask(service, version)).toEqual({
      type: 'deleted',
      key: 'k',
      newValue: null,
      version: deletedAt,
      timestamp: expect.stringMatching(/Z$/),
      metadata: { owner: 'ann' },
      contentType: 'text/x-ini',
    });
  });

  it('is told once after a restart, where another tool made the key over a tombstone and deleted it', async () => {
    const store = new MemoryProvider({ historyLimit: 2 });
    const provider = new FaultyProvider(store);
    await using first = await HttpService.start({ store, provider });
    await first.set('k', 'a');
    await first.delete('k');
    const made = await first.outside({ k: '1' });
    await first.outside({ k: null });
    for (let index = 0; index < 4; index++) await first.elsewhere();
    await using second = await HttpService.start({ store, provider: new FaultyProvider(store) });
    const deleted = await ask(second, made);
    expect(deleted).toMatchObject({ type: 'deleted', newValue: null });
    expect(deleted.version).toBeGreaterThan(made);
    const poll = second.get(`/api/v1/configs/k?watch&version=${deleted.version}`);
    await held(second, 1);
    await first.set('k', 'again');
    expect((await poll).json()).toMatchObject({ type: 'created', newValue: 'again' });
  });
});
