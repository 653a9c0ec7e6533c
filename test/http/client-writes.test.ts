import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigClient, type ConfigClientOptions } from '../../src/client/index.ts';
import { FakeClock } from '../unit/client/fake-clock.ts';
import { created, deleted, item, updated } from '../unit/client/wire-samples.ts';
import { AT_ONCE, recordChanges, rejection } from './client/observe.ts';
import { json, problem, ScriptedServer, type ScriptedAnswer } from './client/scripted-server.ts';

const ECHO_WAIT_MS = 500;

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A client that is live at revision 10. */
async function live(items: readonly ReturnType<typeof item>[], options: Partial<ConfigClientOptions> = {}) {
  const server = await ScriptedServer.start();
  const errors: unknown[] = [];
  const client = new ConfigClient({
    url: server.url,
    prefix: 'app/',
    backoff: AT_ONCE,
    onError: (error) => errors.push(error),
    ...options,
  });
  opened.push(server, client);
  const started = client.start();
  const stream = (await server.stream()).state(10, ...items);
  await started;
  return { client, errors, server, stream, changes: recordChanges(client) };
}

const at = (revision: number) => ({ 'attune-revision': String(revision), 'attune-cursor': `e-${revision}` });
const stored = (body: unknown, status = 200): ScriptedAnswer =>
  json(body, status, 'application/json', at((body as { version: number }).version));

describe('set', () => {
  test('resolves when the stream has told it: watchers heard it in its place, once', async () => {
    const { client, server, stream, changes } = await live([item('app/a', 1, 4)]);
    const heard: unknown[] = [];
    client.watch('app/a', (value, { version }) => heard.push([value, version]));
    server.script = () => {
      // Another one's write came before ours and is told first.
      stream.change(11, updated('app/a', 'theirs', 11)).change(12, updated('app/a', 'mine', 12));
      return stored(item('app/a', 'mine', 12));
    };
    expect(await client.set('app/a', 'mine', { ifVersion: 11, metadata: { by: 'me' }, comment: 'why' })).toEqual({
      version: 12,
      created: false,
    });
    expect(client.get('app/a')).toBe('mine');
    expect(heard).toEqual([
      ['theirs', 11],
      ['mine', 12],
    ]);
    stream.change(13, created('app/end', 1, 13));
    expect(await changes.through('app/end')).toHaveLength(2);
    expect(server.requests.at(-1)).toMatchObject({
      method: 'PUT',
      target: '/api/v1/configs/app/a?ifVersion=11',
      body: '{"value":"mine","metadata":{"by":"me"},"comment":"why"}',
    });
  });

  test('takes over the answer when the stream does not tell it in time, and the stream then repeats nothing', async () => {
    const clock = new FakeClock();
    const { client, server, stream, changes } = await live([], { clock });
    const waiting = clock.next(ECHO_WAIT_MS);
    server.script = () => stored(item('app/a', 5, 12), 201);
    const setting = client.set('app/a', 5);
    await waiting;
    expect(client.get('app/a')).toBeUndefined();
    clock.advance(ECHO_WAIT_MS);
    expect(await setting).toEqual({ version: 12, created: true });
    expect(client.get('app/a')).toBe(5);
    stream.change(12, created('app/a', 5, 12), created('app/end', 1, 12));
    expect(await changes.through('app/end')).toEqual([['created', 'app/a', null, 5, 12]]);
  });

  test('does not wait for a stream that is not there', async () => {
    const server = await ScriptedServer.start();
    const client = new ConfigClient({ url: server.url, prefix: 'app/', clock: new FakeClock() });
    opened.push(server, client);
    server.script = () => stored(item('app/a', 5, 12), 201);
    await client.set('app/a', 5);
    expect(client.get('app/a')).toBe(5);
  });

  test('stops waiting when the stream is lost', async () => {
    const { client, server, stream } = await live([], { clock: new FakeClock() });
    server.script = async () => {
      await stream.cut();
      return stored(item('app/a', 5, 12), 201);
    };
    await client.set('app/a', 5);
    expect(client.get('app/a')).toBe(5);
  });

  test('never brings back what the stream has told since', async () => {
    const { client, server, stream } = await live([]);
    server.script = async () => {
      stream.change(11, created('app/a', 'mine', 11)).change(12, deleted('app/a', 12));
      const end = recordChanges(client);
      stream.change(13, created('app/end', 1, 13));
      await end.through('app/end');
      return stored(item('app/a', 'mine', 11), 201);
    };
    await client.set('app/a', 'mine');
    expect(client.get('app/a')).toBeUndefined();
  });

  test('of what is already so waits for nothing', async () => {
    const { client, server } = await live([item('app/a', 1, 4)], { clock: new FakeClock() });
    server.script = () => stored(item('app/a', 1, 4));
    expect(await client.set('app/a', 1)).toEqual({ version: 4, created: false });
  });

  test.each([
    ['CONFLICT', 412],
    ['SCHEMA_VIOLATION', 422],
    ['UNAVAILABLE', 503],
    ['OUTCOME_UNKNOWN', 504],
  ])('rejects with what the server refuses: %s', async (code, status) => {
    const { client, server } = await live([item('app/a', 1, 4)]);
    server.script = () => problem(status, code);
    expect(await rejection(client.set('app/a', 2))).toMatchObject({ code });
    expect(client.get('app/a')).toBe(1);
  });

  test.each([undefined, Number.NaN, { at: new Date(0) }])('of %o is refused unsent', async (value) => {
    const { client, server } = await live([]);
    expect(await rejection(client.set('app/a', value as never))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining("'app/a'") as string,
    });
    expect(server.requests).toHaveLength(1);
  });
});

describe('delete', () => {
  test('resolves when the stream has told it', async () => {
    const { client, server, stream, changes } = await live([item('app/a', 1, 4)]);
    server.script = () => {
      stream.change(11, deleted('app/a', 11));
      return { status: 204, headers: at(11) };
    };
    expect(await client.delete('app/a', { ifVersion: 4 })).toBe(true);
    expect(client.get('app/a')).toBeUndefined();
    expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', target: '/api/v1/configs/app/a?ifVersion=4' });
    stream.change(12, created('app/end', 1, 12));
    expect(await changes.through('app/end')).toEqual([['deleted', 'app/a', 1, null, 11]]);
  });

  test('asks once more when the stream does not tell it in time, and repeats nothing', async () => {
    const clock = new FakeClock();
    const { client, server, stream, changes } = await live([item('app/a', 1, 4)], { clock });
    server.script = ({ method }) =>
      method === 'DELETE'
        ? { status: 204, headers: at(12) }
        : { ...problem(404, 'NOT_FOUND'), headers: { 'content-type': 'application/problem+json', ...at(13) } };
    const waiting = clock.next(ECHO_WAIT_MS);
    const deleting = client.delete('app/a');
    await waiting;
    clock.advance(ECHO_WAIT_MS);
    expect(await deleting).toBe(true);
    expect(client.get('app/a')).toBeUndefined();
    expect(server.requests.at(-1)?.target).toBe('/api/v1/configs/app/a?minRevision=e-12');
    stream
      .change(11, updated('app/a', 'before the deletion', 11))
      .change(12, deleted('app/a', 12))
      .change(14, created('app/a', 'after it', 14), created('app/end', 1, 14));
    expect(await changes.through('app/end')).toEqual([
      ['deleted', 'app/a', 1, null, 13],
      ['created', 'app/a', null, 'after it', 14],
    ]);
  });

  test('shows what was created again meanwhile', async () => {
    const server = await ScriptedServer.start();
    const client = new ConfigClient({ url: server.url, prefix: 'app/' });
    opened.push(server, client);
    server.script = ({ method }) => (method === 'DELETE' ? { status: 204, headers: at(12) } : stored(item('app/a', 'theirs', 13)));
    expect(await client.delete('app/a')).toBe(true);
    expect(client.get('app/a')).toBe('theirs');
  });

  test('of an absent key is false', async () => {
    const { client, server } = await live([]);
    server.script = () => problem(404, 'NOT_FOUND');
    expect(await client.delete('app/a')).toBe(false);
  });

  test('at a wrong URL is an error, not an absent key', async () => {
    const { client, server } = await live([]);
    server.script = () => problem(404, 'ROUTE_NOT_FOUND');
    expect(await rejection(client.delete('app/a'))).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  });
});

describe('update', () => {
  test('writes what it makes of the known value, if nobody else wrote', async () => {
    const { client, server } = await live([item('app/a', 20, 4)], { clock: new FakeClock() });
    server.script = () => stored(item('app/a', 40, 4));
    await client.update('app/a', (old) => (old as number) * 2, { comment: 'double' });
    expect(server.requests.at(-1)).toMatchObject({ target: '/api/v1/configs/app/a?ifVersion=4', body: '{"value":40,"comment":"double"}' });
  });

  test('of an absent key creates it', async () => {
    const { client, server, stream } = await live([]);
    server.script = () => {
      stream.change(11, created('app/a', 1, 11));
      return stored(item('app/a', 1, 11), 201);
    };
    expect(await client.update('app/a', (old) => (old === undefined ? 1 : 2))).toEqual({ version: 11, created: true });
    expect(server.requests.at(-1)?.target).toBe('/api/v1/configs/app/a?ifVersion=0');
  });

  test('begins again with the value another one wrote', async () => {
    const { client, server, stream } = await live([item('app/a', 1, 4)]);
    const seen: unknown[] = [];
    server.script = ({ method, target }) => {
      if (method === 'GET') return stored(item('app/a', 100, 15));
      if (target.endsWith('ifVersion=4')) return problem(412, 'CONFLICT', { current: { version: 15 } });
      stream.change(16, updated('app/a', 101, 16));
      return stored(item('app/a', 101, 16));
    };
    await client.update('app/a', async (old) => {
      seen.push(old);
      return Promise.resolve((old as number) + 1);
    });
    expect(seen).toEqual([1, 100]);
    expect(server.requests.slice(1).map(({ method, target }) => `${method} ${target}`)).toEqual([
      'PUT /api/v1/configs/app/a?ifVersion=4',
      'GET /api/v1/configs/app/a?consistency=strong',
      'PUT /api/v1/configs/app/a?ifVersion=15',
    ]);
  });

  test('gives up after five tries with CONFLICT', async () => {
    const { client, server } = await live([item('app/a', 1, 4)], { random: () => 0 });
    server.script = ({ method }) => (method === 'GET' ? problem(404, 'NOT_FOUND') : problem(412, 'CONFLICT'));
    let calls = 0;
    expect(await rejection(client.update('app/a', () => ++calls))).toMatchObject({ code: 'CONFLICT' });
    expect(calls).toBe(5);
  });

  test('does not try again after any other failure', async () => {
    const { client, server } = await live([item('app/a', 1, 4)]);
    server.script = () => 'cut';
    expect(await rejection(client.update('app/a', () => 2))).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(server.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });

  test('rejects with what its function throws', async () => {
    const { client } = await live([]);
    const mine = new Error('mine');
    expect(
      await rejection(
        client.update('app/a', () => {
          throw mine;
        }),
      ),
    ).toBe(mine);
  });
});

describe('a call whose signal aborts', () => {
  test('before it is sent rejects with the reason', async () => {
    const { client, server } = await live([]);
    expect(await rejection(client.set('app/a', 1, { signal: AbortSignal.abort(new Error('enough')) }))).toMatchObject({
      message: 'enough',
    });
    expect(server.requests).toHaveLength(1);
  });

  test('after it is sent rejects with OUTCOME_UNKNOWN', async () => {
    const { client, server } = await live([]);
    const controller = new AbortController();
    server.script = () => {
      controller.abort();
      return new Promise(() => undefined);
    };
    expect(await rejection(client.set('app/a', 1, { signal: controller.signal }))).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });
});

describe('with a schema', () => {
  const schema = { 'app/size': z.number().int().min(1).default(10), 'app/name': z.string().optional() };

  test('values and changes are read through it, and what does not fit is reported', async () => {
    const server = await ScriptedServer.start();
    const errors: unknown[] = [];
    const client = new ConfigClient({ url: server.url, prefix: 'app/', schema, onError: (error) => errors.push(error) });
    opened.push(server, client);
    const heard: number[] = [];
    client.watch('app/size', (size) => heard.push(size));
    const started = client.start();
    const stream = (await server.stream()).state(10, item('app/size', 'many', 4), item('app/other', 1, 4));
    await started;
    expect(client.get('app/size')).toBe(10);
    expect(errors).toMatchObject([{ code: 'SCHEMA_VIOLATION', details: { key: 'app/size', version: 4 } }]);
    const changes = client.changes();
    stream
      .change(11, updated('app/size', 5, 11))
      .change(12, deleted('app/size', 12), created('app/other2', 1, 12), created('app/name', 'x', 12));
    expect((await changes.next()).value).toMatchObject({ type: 'created', key: 'app/size', oldValue: null, newValue: 5 });
    expect((await changes.next()).value).toMatchObject({ type: 'deleted', key: 'app/size', oldValue: 5, newValue: null });
    expect((await changes.next()).value).toMatchObject({ type: 'created', key: 'app/name' });
    expect(heard).toEqual([5, 10]);
    expect(errors).toHaveLength(1);
  });

  test('set of what does not fit is refused unsent', async () => {
    const server = await ScriptedServer.start();
    const client = new ConfigClient({ url: server.url, prefix: 'app/', schema });
    opened.push(server, client);
    expect(await rejection(client.set('app/size', 0))).toMatchObject({ code: 'SCHEMA_VIOLATION' });
    expect(await rejection(client.set('app/typo' as never, 1 as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => client.get('app/typo' as never)).toThrow("'app/typo' is not in the schema");
    expect(server.requests).toEqual([]);
  });

  test('start resolves at the deadline if every key has a default, and serves them as stale', async () => {
    const server = await ScriptedServer.start();
    const clock = new FakeClock();
    const client = new ConfigClient({ url: server.url, prefix: 'app/', schema, clock });
    opened.push(server, client);
    const started = client.start();
    const stream = await server.stream();
    const isHeard = clock.next(45_000);
    stream.open();
    stream.write(': watching\n\n');
    await isHeard;
    clock.advance(5_000);
    await started;
    expect(client.get('app/size')).toBe(10);
    expect(client.status).toMatchObject({ state: 'stale', source: 'defaults', revision: 0 });
    const heard = new Promise((resolve) => client.watch('app/size', resolve));
    stream.state(10, item('app/size', 7, 4));
    expect(await heard).toBe(7);
    expect(client.status).toMatchObject({ state: 'live' });
  });

  test('start rejects at the deadline naming the keys without value or default', async () => {
    const server = await ScriptedServer.start();
    const clock = new FakeClock();
    const client = new ConfigClient({ url: server.url, prefix: 'app/', schema: { ...schema, 'app/needed': z.string() }, clock });
    opened.push(server, client);
    const failed = rejection(client.start());
    await server.stream();
    clock.advance(5_000);
    expect(await failed).toMatchObject({
      code: 'NOT_READY',
      details: { keys: ['app/needed'] },
      message: expect.stringContaining("no value and no default for 'app/needed'") as string,
    });
  });
});
