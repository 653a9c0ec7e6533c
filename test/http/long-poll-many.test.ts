import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { held, HttpService } from '../support/http-service.ts';

const SMALL_WINDOW = { minAgeMs: 0, minBatches: 2, maxBytes: 1_000_000 };

const poll = (service: HttpService, query: string) => service.get(`/api/v1/configs?watch&${query}`);

describe('a long-poll for many keys', () => {
  let service: HttpService;

  beforeAll(async () => {
    service = await HttpService.start();
  });

  afterAll(() => service[Symbol.asyncDispose]());

  it('without since tells what changes from now on, in one revision, and where to go on', async () => {
    const answer = poll(service, 'prefix=m/');
    await held(service, 1);
    const revision = await service.outside({ 'm/a': '1', 'm/b': '2', 'x/c': '3' });
    const { text, ...rest } = await answer;
    expect(rest.status).toBe(200);
    expect(rest.header('cache-control')).toBe('no-store');
    const body = JSON.parse(text);
    expect(Object.keys(body)).toEqual(['revision', 'cursor', 'changes']);
    expect(body.revision).toBe(revision);
    expect(body.cursor).toBe(rest.header('attune-cursor'));
    expect(body.changes.map(({ key, type }: { key: string; type: string }) => [key, type])).toEqual([
      ['m/a', 'created'],
      ['m/b', 'created'],
    ]);
  });

  it('with since tells every change after it, in order, each version of a key', async () => {
    const cursor = await service.cursor();
    const versions = [await service.set('o/a', 1), await service.set('o/b', 1), await service.set('o/a', 2)];
    await service.delete('o/a');
    const { changes } = (await poll(service, `prefix=o/&since=${cursor}`)).json();
    expect(changes.map(({ key, type, version }: { key: string; type: string; version: number }) => [key, type, version])).toEqual([
      ['o/a', 'created', versions[0]],
      ['o/b', 'created', versions[1]],
      ['o/a', 'updated', versions[2]],
      ['o/a', 'deleted', service.server.service.revision],
    ]);
    expect(changes[2]).toMatchObject({ oldValue: 1, newValue: 2 });
  });

  it('at the end of the time is empty, with a cursor that has advanced', async () => {
    const cursor = await service.cursor();
    await service.set('elsewhere', Math.random());
    const answer = await poll(service, `prefix=n/&since=${cursor}&wait=100ms`);
    expect([answer.status, answer.json().changes]).toEqual([200, []]);
    expect(answer.json().cursor).toBe(await service.cursor());
    expect(answer.json().cursor).not.toBe(cursor);
  });

  it('its filters are a union; each change is told once', async () => {
    const cursor = await service.cursor();
    await service.outside({ 'u/a': '1', 'u/b/c': '1', 'u/bb': '1', 'v/a': '1', v: '1', w: '1' });
    const { changes } = (await poll(service, `prefix=u/b&prefix=u/b/&key=u/b/c&key=v&key=v&key=missing&since=${cursor}`)).json();
    expect(changes.map(({ key }: { key: string }) => key).toSorted()).toEqual(['u/b/c', 'u/bb', 'v']);
  });

  it('takes a hundred filters, of keys that do not exist yet too', async () => {
    const query = Array.from({ length: 100 }, (_, index) => `key=h/${index}`).join('&');
    const answer = poll(service, query);
    await held(service, 1);
    await service.set('h/100', 1);
    await service.set('h/99', 1);
    expect((await answer).json().changes.map(({ key }: { key: string }) => key)).toEqual(['h/99']);
  });

  it('sees from A over B back to A between two polls', async () => {
    await service.set('aba', 'A');
    const cursor = await service.cursor();
    await service.set('aba', 'B');
    await service.set('aba', 'A');
    const { changes } = (await poll(service, `key=aba&since=${cursor}`)).json();
    expect(changes.map(({ newValue }: { newValue: string }) => newValue)).toEqual(['B', 'A']);
  });

  it('misses nothing and repeats nothing while writes go on between its polls', async () => {
    let cursor = await service.cursor();
    const seen: number[] = [];
    const versions: number[] = [];
    const writes = (async () => {
      for (let index = 0; index < 200; index++)
        versions.push(
          index % 3
            ? await service.set(`r/${index % 7}`, index)
            : await service.outside({ [`r/${index % 7}`]: String(index), 'r/both': String(index) }),
        );
      await service.set('r/end', true);
    })();
    for (let isOver = false; !isOver;) {
      const body = (await poll(service, `prefix=r/&since=${cursor}&wait=10s`)).json();
      cursor = body.cursor;
      for (const { key, version } of body.changes) {
        if (key === 'r/end') isOver = true;
        else if (seen.at(-1) !== version) seen.push(version);
        else expect(key).toBe('r/both');
      }
    }
    await writes;
    expect(seen).toEqual(versions);
  });

  it('answers in bounded pieces, cut between revisions, to one who was away for long', async () => {
    const cursor = await service.cursor();
    for (let round = 0; round < 15; round++)
      await service.outside(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`big/${index}`, String(round)])));
    let position = cursor;
    const sizes: number[] = [];
    const versions: number[] = [];
    for (;;) {
      const body = (await poll(service, `prefix=big/&since=${position}&wait=0s`)).json();
      if (body.changes.length === 0) break;
      position = body.cursor;
      sizes.push(body.changes.length);
      versions.push(...body.changes.map(({ version }: { version: number }) => version));
    }
    expect(versions).toHaveLength(1_500);
    expect(sizes.length).toBeGreaterThan(1);
    for (const size of sizes) expect(size % 100).toBe(0);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  });

  it('waits for a change when the cursor is the newest there is', async () => {
    const answer = poll(service, `key=late&since=${await service.cursor()}`);
    await held(service, 1);
    await service.set('late', 1);
    expect((await answer).json().changes).toHaveLength(1);
  });
});

describe('a cursor of no use', () => {
  it('is 410 with the reason and the cursor to go on from', async () => {
    await using service = await HttpService.start({ service: { window: SMALL_WINDOW } });
    const old = await service.cursor();
    await service.set('k', 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let index = 1; index < 6; index++) await service.set('k', index);
    const newest = await service.cursor();
    for (const [cursor, reason] of [
      [old, 'compacted'],
      [newest.replace(/^[^-]+/, 'ffff'), 'epoch'],
      [newest.replace(/\d+$/, '999999'), 'ahead'],
    ]) {
      const answer = await poll(service, `since=${cursor}`);
      expect([answer.status, answer.json().code, answer.json().reason, answer.json().cursor]).toEqual([410, 'CURSOR_GONE', reason, newest]);
      expect(answer.header('cache-control')).toBe('no-store');
    }
    expect((await poll(service, `since=${newest}&wait=0s`)).status).toBe(200);
  });

  it('is not one whose poll was held while others’ changes filled the window: nothing was missed', async () => {
    await using service = await HttpService.start({ service: { window: SMALL_WINDOW } });
    const cursor = await service.cursor();
    const polls = [poll(service, `key=quiet&since=${cursor}`), poll(service, `key=quiet&since=${cursor}&wait=300ms`)];
    await held(service, 2);
    for (let index = 0; index < 8; index++) {
      await service.set('loud', index);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const ended = await polls[1];
    expect([ended?.status, ended?.json().changes]).toEqual([200, []]);
    expect(ended?.json().cursor).toBe(await service.cursor());
    const version = await service.set('quiet', 1);
    const woken = await polls[0];
    expect([woken?.status, woken?.json().changes?.[0]?.version]).toEqual([200, version]);
  });

  it('that loses its use while the poll is held is told at once', async () => {
    await using service = await HttpService.start();
    await service.set('k', 1);
    const many = poll(service, `key=k&since=${await service.cursor()}`);
    const one = service.get(`/api/v1/configs/k?watch&version=${(await service.item('k')).version}`);
    const state = service.get('/api/v1/configs/k', {
      'If-None-Match': (await service.get('/api/v1/configs/k')).header('etag') ?? '',
      Prefer: 'wait=30',
    });
    await held(service, 3);
    // Somebody deletes the mark of the history: a new one begins.
    await service.store.commit({ checks: [], operations: [{ type: 'delete', key: 'app/config/.attune/system/epoch' }] });
    const answer = await many;
    expect([answer.status, answer.json().reason]).toEqual([410, 'epoch']);
    expect(answer.json().cursor).toBe(await service.cursor());
    expect((await state).status).toBe(200);
    expect([200, 304]).toContain((await one).status);
  });
});
