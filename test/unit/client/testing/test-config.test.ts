import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { AttuneError, ConfigClient, type ClientStatus } from '../../../../src/client/index.ts';
import { createTestConfig, type TestConfig } from '../../../../src/client/testing/index.ts';

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

const open = async <Config extends AsyncDisposable>(creating: Promise<Config>): Promise<Config> => {
  const config = await creating;
  opened.push(config);
  return config;
};

type Heard = readonly [value: unknown, type: string, version: number];

/** What one watcher of `key` is called with. */
function hear(client: ConfigClient, key: string): readonly Heard[] {
  const heard: Heard[] = [];
  client.watch(key, (value, change) => heard.push([value, change.type, change.version]));
  return heard;
}

/** A config whose client reports nothing to the console. */
async function quiet(values: Record<string, number> = { a: 1 }): Promise<{ config: TestConfig; errors: unknown[] }> {
  const errors: unknown[] = [];
  const config = await open(createTestConfig({ values, onError: (error) => errors.push(error) }));
  return { config, errors };
}

describe('createTestConfig', () => {
  it('gives a live client that reads the values', async () => {
    const { client } = await open(createTestConfig({ values: { 'app/a': 1, 'app/b': { c: [null, 'é'] } } }));
    expect([client.get('app/a'), client.get('app/b'), client.get('app/c')]).toEqual([1, { c: [null, 'é'] }, undefined]);
    expect(client.status).toMatchObject({ state: 'live' } satisfies Partial<ClientStatus>);
  });

  it('needs no values', async () => {
    expect((await open(createTestConfig())).client.get('a')).toBeUndefined();
  });

  it('holds more values than one snapshot frame does', async () => {
    const values = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k/${index}`, index]));
    const { client } = await open(createTestConfig({ values, prefix: 'k/' }));
    expect(Object.keys(values).every((key) => client.get(key) === values[key])).toBe(true);
  });

  it('has called every watcher when set resolves', async () => {
    const { config } = await quiet();
    const heard = hear(config.client, 'a');
    const { version, created } = await config.set('a', 2);
    expect(heard).toEqual([[2, 'updated', version]]);
    expect(created).toBe(false);
    expect(config.client.get('a')).toBe(2);
    await config.set('a', 2);
    expect(heard).toHaveLength(1);
  });

  it('has called every watcher when delete resolves', async () => {
    const { config } = await quiet();
    const heard = hear(config.client, 'a');
    expect([await config.delete('a'), await config.delete('a')]).toEqual([true, false]);
    expect(heard).toMatchObject([[undefined, 'deleted', expect.any(Number)]]);
  });

  it('has called the watchers of all its clients, of one that the tested code made too', async () => {
    const { config } = await quiet();
    const other = await open(ConfigClient.connect({ url: config.url, fetch: config.fetch, prefix: '' }));
    const heard = [hear(config.client, 'a'), hear(other, 'a')];
    await config.set('a', 2);
    expect(heard.map((one) => one.length)).toEqual([1, 1]);
    await other.set('a', 3);
    await config.set('b', 1);
    expect(heard.map((one) => one.length)).toEqual([2, 2]);
  });

  it('tells the client only of its prefixes', async () => {
    const config = await open(createTestConfig({ values: { 'app/a': 1, 'other/a': 2 }, prefix: 'app/' }));
    await config.set('other/a', 3);
    await config.set('app/a', 4);
    expect(config.client.get('app/a')).toBe(4);
    expect(() => config.client.get('other/a')).toThrow('outside of what this client watches');
  });

  it('knows the types and defaults of a schema, and keeps the last good value', async () => {
    const errors: unknown[] = [];
    const config = await open(
      createTestConfig({
        values: { size: 20 },
        schema: { size: z.number().default(10), name: z.string().optional() },
        onError: (error) => errors.push(error),
      }),
    );
    const size: number = config.client.get('size');
    // @ts-expect-error A typo in a key does not compile.
    const mistaken = config.set('sise', 1);
    await mistaken;
    await config.set('size', 'large');
    expect([size, config.client.get('size')]).toEqual([20, 20]);
    expect(errors).toMatchObject([{ code: 'SCHEMA_VIOLATION', details: { key: 'size' } }]);
    await config.delete('size');
    expect(config.client.get('size')).toBe(10);
  });

  it('refuses values that no service would take', async () => {
    const { config } = await quiet();
    await expect(createTestConfig({ values: { '/a': 1 } })).rejects.toMatchObject({ code: 'INVALID_KEY' });
    await expect(config.set('a', Number.NaN)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(config.set('a', 'x'.repeat(600_000))).rejects.toMatchObject({ code: 'VALUE_TOO_LARGE' });
    await expect(config.reset({ a: 5, '/b': 1 })).rejects.toMatchObject({ code: 'INVALID_KEY' });
    await config.set('c', 1);
    expect([config.client.get('a'), config.client.get('c')]).toEqual([1, 1]);
  });
});

describe('reset', () => {
  it('lets watchers hear exactly the difference', async () => {
    const { config } = await quiet({ kept: 1, changed: 1, gone: 1 });
    const changes: unknown[] = [];
    for (const key of ['kept', 'changed', 'gone', 'added'])
      config.client.watch(key, (value, change) => changes.push([change.type, key, value]));
    await config.reset({ kept: 1, changed: 2, added: 3 });
    expect(changes).toHaveLength(3);
    expect(changes).toEqual(
      expect.arrayContaining([
        ['updated', 'changed', 2],
        ['deleted', 'gone', undefined],
        ['created', 'added', 3],
      ]),
    );
    await config.set('changed', 4);
    expect(config.client.get('changed')).toBe(4);
  });
});

describe('an outage', () => {
  it('leaves the client stale with its values, and ends with what was missed, in order', async () => {
    const { config, errors } = await quiet();
    const heard = hear(config.client, 'a');
    await config.goOffline();
    expect(config.client.status).toMatchObject({ state: 'stale', source: 'memory' });
    expect(config.client.get('a')).toBe(1);
    await config.set('a', 2);
    await config.delete('a');
    await config.set('a', 3);
    expect(heard).toEqual([]);
    await config.goOnline();
    expect(config.client.status).toMatchObject({ state: 'live' });
    expect(heard.map(([value, type]) => [value, type])).toEqual([
      [2, 'updated'],
      [undefined, 'deleted'],
      [3, 'created'],
    ]);
    expect(errors).toHaveLength(1);
  });

  it('may come again and again', async () => {
    const { config } = await quiet();
    const heard = hear(config.client, 'a');
    for (let round = 2; round < 12; round++) {
      await config.goOffline();
      await config.set('a', round);
      await config.goOnline();
    }
    expect(heard.map(([value]) => value)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('need not be waited for', async () => {
    const { config } = await quiet();
    void config.goOffline();
    const online = config.goOnline();
    await config.set('a', 2);
    expect(config.client.get('a')).toBe(2);
    await online;
    expect(config.client.status.state).toBe('live');
  });

  it('ends in a new state if the store was restored meanwhile', async () => {
    const { config } = await quiet();
    const heard = hear(config.client, 'a');
    await config.goOffline();
    await config.reset({ a: 7 });
    expect(config.client.get('a')).toBe(1);
    await config.goOnline();
    expect(heard.map(([value]) => value)).toEqual([7]);
  });

  it('makes writes fail as in production', async () => {
    const { config } = await quiet();
    const codes: string[] = [];
    const tryWrite = async (cause?: unknown): Promise<void> => {
      await config.goOffline(...(cause === undefined ? [] : [cause]));
      await config.client.set('a', 9).catch((error: AttuneError) => codes.push(error.code));
    };
    await tryWrite();
    await tryWrite(new Error('other side closed'));
    await tryWrite(new AttuneError('PERMISSION_DENIED', 'not yours'));
    await tryWrite(new AttuneError('RATE_LIMITED', 'too many'));
    expect(codes).toEqual(['UNAVAILABLE', 'OUTCOME_UNKNOWN', 'PERMISSION_DENIED', 'RATE_LIMITED']);
    await config.goOnline();
    expect(config.client.get('a')).toBe(1);
    expect(await config.client.set('a', 9)).toMatchObject({ created: false });
  });

  it('lets a start be refused, as wrong credentials are', async () => {
    const { config } = await quiet();
    await config.goOffline(new AttuneError('UNAUTHENTICATED', 'who are you?'));
    const starting = ConfigClient.connect({ url: config.url, fetch: config.fetch, prefix: '', onError: () => undefined });
    await expect(starting).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'who are you?' });
    await config.goOnline();
    expect(config.client.status.state).toBe('live');
  });

  it('shows its cause in the status', async () => {
    const { config } = await quiet();
    await config.goOffline(new Error('cable cut'));
    expect(config.client.status).toMatchObject({ cause: { code: 'UNAVAILABLE', message: expect.stringContaining('cable cut') } });
  });
});

describe('the clock', () => {
  it('does not need the timers that a test fakes', async () => {
    vi.useFakeTimers();
    const { config } = await quiet();
    const heard = hear(config.client, 'a');
    await config.set('a', 2);
    await config.goOffline();
    vi.advanceTimersByTime(3_600_000);
    await config.goOnline();
    vi.advanceTimersByTime(3_600_000);
    await config.set('a', 3);
    expect(config.client.status.state).toBe('live');
    expect(heard.map(([value]) => value)).toEqual([2, 3]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets update try again at once', async () => {
    const { config } = await quiet();
    let tries = 0;
    await config.client.update('a', async (old) => {
      if (++tries < 3) await config.set('a', Number(old) + 10);
      return Number(old) + 1;
    });
    expect([tries, config.client.get('a')]).toEqual([3, 22]);
  });
});

describe('close', () => {
  it('closes the client and is idempotent', async () => {
    const config = await createTestConfig({ values: { a: 1 } });
    await Promise.all([config.close(), config.close()]);
    expect(config.client.status).toEqual({ state: 'closed' });
    await config.set('a', 2);
    expect(config.client.get('a')).toBe(1);
  });

  it('does not wait for an outage to end', async () => {
    const { config } = await quiet();
    await config.goOffline();
    await config.close();
    await config.goOnline();
    expect(config.client.status.state).toBe('closed');
  });

  it('sends other clients away', async () => {
    const { config } = await quiet();
    const other = await open(ConfigClient.connect({ url: config.url, fetch: config.fetch, prefix: '', onError: () => undefined }));
    const states: string[] = [];
    const isAway = new Promise<void>((resolve) => other.onStatus(({ state }) => (states.push(state), resolve())));
    await config.close();
    await isAway;
    expect(states).toEqual(['stale']);
  });

  it('does not wait for a stream that nobody reads', async () => {
    const config = await createTestConfig();
    const { body } = await config.fetch(`${config.url}/api/v1/watch?snapshot`);
    await config.close();
    const text = await new Response(body).text();
    expect(text).toMatch(/^id: .+\nevent: synced\n[^]+event: goaway\n/);
  });
});
