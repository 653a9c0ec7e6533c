import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../src/client/clock.ts';
import { ConfigClient, type AttuneError, type Clock, type JsonValue } from '../../src/client/index.ts';
import { createTestConfig } from '../../src/client/testing/index.ts';
import { STATUS_OF_CODE } from '../../src/client/testing/problem-answer.ts';
import { configChangeEventSchema, configItemSchema } from '../../src/core/item-schema.ts';
import type { Random } from '../../src/conformance/random.ts';
import { PROBLEMS } from '../../src/server/http/problem.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';
import { seededRandom } from '../support/seed.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { AT_ONCE, statusOf } from './client/observe.ts';

const KEYS = ['k/a', 'k/b', 'k/é/c', 'k/d'] as const;
const SCHEMA = {
  'k/a': z.number().default(0),
  'k/b': z.json().optional(),
  'k/é/c': z.string().optional(),
  'k/d': z.object({ x: z.number() }).optional(),
};
const VALUES: readonly JsonValue[] = [
  ...[1, 2, -0, 1e21, 0.1, true, null, '', 'é😀', '\u2028', [], {}],
  ...[{ x: 1, y: [2] }, { y: [2], x: 1 }, { x: 1, y: [2, null] }, [[1]], { '': 1 }],
];
const REFUSED: readonly JsonValue[] = ['x'.repeat(600_000), 'half a pair: \ud800', { '\udc00': 1 }, nested(250), Number.NaN];

type State = Readonly<Record<string, JsonValue>>;

/** A service with one client, and what others and fate do to it: a server's, or that of `attune-client/testing`. */
interface World extends AsyncDisposable {
  readonly client: ConfigClient;
  readonly set: (key: string, value: JsonValue) => Promise<unknown>;
  readonly delete: (key: string) => Promise<unknown>;
  readonly reset: (state: State) => Promise<unknown>;
  readonly goOffline: () => Promise<void>;
  readonly goOnline: () => Promise<void>;
}

interface WorldOptions {
  readonly values: State;
  readonly schema: typeof SCHEMA | undefined;
  readonly onError: (error: unknown) => void;
}

async function openTesting({ values, schema, onError }: WorldOptions): Promise<World> {
  const config = schema
    ? await createTestConfig({ values, schema, onError, prefix: 'k/' })
    : await createTestConfig({ values, onError, prefix: 'k/' });
  return config as unknown as World;
}

/** Does not wait the 1 to 3 s that a server asks for before a client comes back. */
const impatientClock: Clock = {
  now: () => Date.now(),
  // What a stream has for its head and its first byte stays.
  after: (delayMs, callback) => systemClock.after(delayMs > 1_000 && delayMs !== 1_250 && delayMs <= 3_000 ? 0 : delayMs, callback),
};

async function openReal({ values, schema, onError }: WorldOptions): Promise<World> {
  const services: HttpService[] = [];
  const startService = async (state: State): Promise<void> => {
    const service = await HttpService.start();
    for (const [key, value] of Object.entries(state)) await service.put(encodeURI(key), { value });
    services.push(service);
  };
  const current = (): HttpService => services.at(-1)!;
  await startService(values);
  const proxy = await TcpProxy.start(() => current().port);
  let outage: Promise<void> | undefined;
  let end = (): void => undefined;
  const client = (await ConfigClient.connect({
    ...{ url: proxy.url, prefix: 'k/', backoff: AT_ONCE, clock: impatientClock, onError },
    ...(schema && { schema }),
    fetch: async (input, init) => {
      // Writes are refused; a stream gets through when the network is back.
      if (outage && typeof input === 'string' && input.includes('/watch')) await outage;
      if (outage) throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });
      return fetch(input, init);
    },
  })) as unknown as ConfigClient;
  const cut = async (): Promise<void> => {
    const stale = statusOf(client, 'stale');
    proxy.reset();
    await stale;
  };
  const caughtUp = async (): Promise<void> => {
    if (outage) return;
    await statusOf(client, 'live');
    await eventually(() => expect(client.status).toMatchObject({ state: 'live', revision: current().server.service.revision }));
  };
  return {
    client,
    set: async (key, value) => {
      const { status, json } = await current().put(encodeURI(key), { value });
      await caughtUp();
      return { version: json().version, created: status === 201 };
    },
    delete: async (key) => {
      const { status } = await current().send({ method: 'DELETE', path: `/api/v1/configs/${encodeURI(key)}` });
      await caughtUp();
      return status === 204;
    },
    reset: async (state) => {
      await startService(state);
      if (!outage) await cut();
      await caughtUp();
    },
    goOffline: async () => {
      if (outage) return;
      outage = new Promise((resolve) => (end = resolve));
      await cut();
    },
    goOnline: async () => {
      outage = undefined;
      end();
      await caughtUp();
    },
    async [Symbol.asyncDispose]() {
      end();
      await client.close();
      await proxy[Symbol.asyncDispose]();
      for (const service of services) await service[Symbol.asyncDispose]();
    },
  };
}

type Step = (world: World) => Promise<unknown>;

/** A step by name, so that a difference can be read. */
interface NamedStep {
  readonly name: string;
  readonly run: Step;
}

function randomStep(random: Random): NamedStep {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const key = pick(KEYS);
  const value = pick(VALUES);
  const named = (name: string, run: Step): NamedStep => ({ name: `${name} ${key} ${JSON.stringify(value)}`, run });
  const condition = pick(['none', 'none', 'absent', 'known', 'wrong'] as const);
  const ifVersion = async ({ client }: World): Promise<{ ifVersion?: number }> => {
    if (condition === 'none') return {};
    if (condition !== 'known') return { ifVersion: condition === 'absent' ? 0 : 9_999 };
    // What a write that changes nothing answers is the version there is.
    return { ifVersion: (await client.set(key, value)).version };
  };
  switch (
    pick(['set', 'set', 'delete', 'own set', 'own set', 'own delete', 'update', 'refused', 'reordered', 'metadata', 'reset', 'outage'])
  ) {
    case 'set':
      return named('others set', (world) => world.set(key, value));
    case 'delete':
      return named('others delete', (world) => world.delete(key));
    case 'own set':
      return named(`set if ${condition}`, async (world) => world.client.set(key, value, await ifVersion(world)));
    case 'own delete':
      return named(`delete if ${condition}`, async (world) => world.client.delete(key, await ifVersion(world)));
    case 'update':
      return named('update', (world) => world.client.update(key, (old) => [old ?? null, value]));
    case 'refused': {
      const refused = pick(REFUSED);
      return named('set what is refused', (world) => world.client.set(key, refused));
    }
    case 'reordered':
      return named('set twice, with members in another order', async (world) => {
        await world.client.set(key, { x: 1, y: 1 });
        return world.set(key, { y: 1, x: 1 });
      });
    case 'metadata': {
      const metadata = pick<Record<string, string>>([
        { owner: 'é' },
        { owner: 'é' },
        { b: '', a: '' },
        {},
        { '': 'x' },
        { large: 'x'.repeat(9_000) },
      ]);
      const comment = pick(['why', 'why', 'why', 'x'.repeat(2_000)]);
      return named('set with metadata', (world) => world.client.set(key, value, { metadata, comment }));
    }
    case 'reset': {
      const state = Object.fromEntries(KEYS.filter(() => random.below(10) < 6).map((one) => [one, pick(VALUES)]));
      return named(`reset ${JSON.stringify(state)}`, (world) => world.reset(state));
    }
    default:
      return random.below(3) === 0 ? named('offline', (world) => world.goOffline()) : named('online', (world) => world.goOnline());
  }
}

/** Everything a program can notice of these steps. */
async function observe(open: (options: WorldOptions) => Promise<World>, steps: readonly NamedStep[], schema: typeof SCHEMA | undefined) {
  const told: unknown[] = [];
  const onError = (error: unknown): void => {
    const { code, details } = error as AttuneError;
    // How often a lost connection is told depends on when it is lost.
    if (code === 'SCHEMA_VIOLATION') told.push(['onError', code, details]);
  };
  await using world = await open({ values: { 'k/a': 1, 'k/d': { x: 1 } }, schema, onError });
  const { client } = world;
  for (const key of KEYS) {
    client.watch(key, (value, { timestamp, ...change }) => told.push(['watch', value, { ...change, isTimed: timestamp !== null }]));
  }
  const seen: unknown[] = [];
  for (const { name, run } of steps) {
    const outcome = await run(world).catch(({ code, details }: AttuneError) => ({ code, ...briefDetails(details) }));
    const values = KEYS.map((key) => client.get(key));
    seen.push({ name, outcome, told: told.splice(0), values, state: client.status.state });
  }
  return seen;
}

/** Without what names a server, a history or a request. */
function briefDetails({ current, key, status, retryAfterMs }: AttuneError['details']): object {
  const { etag: _etag, ...rest } = (current ?? {}) as { readonly etag?: string };
  return { current: current && rest, key, status, retryAfterMs };
}

function nested(depth: number): JsonValue {
  let value: JsonValue = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

describe('attune-client/testing', () => {
  test.each([
    ['without a schema', undefined],
    ['with a schema', SCHEMA],
  ] as const)('shows what a server shows, step by step, %s', async (name, schema) => {
    const random = seededRandom(`attune-client/testing ${name}`);
    const steps = Array.from({ length: 300 }, () => randomStep(random));
    const [real, testing] = [await observe(openReal, steps, schema), await observe(openTesting, steps, schema)];
    for (const [index, step] of real.entries()) expect(testing[index], `step ${index}`).toEqual(step);
  });

  test('answers every code with the status a server gives it', () => {
    expect(STATUS_OF_CODE).toEqual(Object.fromEntries(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status])));
  });

  test('answers items and changes of the shape the API documents', async () => {
    await using config = await createTestConfig({ values: { a: { b: 1 } } });
    const answer = await config.fetch(`${config.url}/api/v1/configs/a`);
    const item = configItemSchema.parse(await answer.json());
    expect(answer.headers.get('etag')).toBe(`"${item.etag}"`);
    const again = await config.fetch(`${config.url}/api/v1/configs/a`, { headers: { 'if-none-match': `"${item.etag}"` } });
    expect(again.status).toBe(304);

    await config.delete('a');
    const stream = await config.fetch(`${config.url}/api/v1/watch?since=${item.etag}`);
    const { value: frame } = await stream.body!.getReader().read();
    const [, id, event, data = ''] = /^id: (.+)\nevent: (.+)\ndata: (.+)\n\n$/.exec(new TextDecoder().decode(frame)) ?? [];
    const change = configChangeEventSchema.parse(JSON.parse(data).changes[0]);
    expect([event, change.type, change.oldValue]).toEqual(['change', 'deleted', { b: 1 }]);
    expect(id).toBe(answer.headers.get('attune-cursor')?.replace(/\d+$/, String(change.version)));
  });
});
