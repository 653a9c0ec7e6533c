import { describe, expect, it } from 'vitest';
import { isAttuneError, type Revision, type StoredChange } from '../../src/core/provider.ts';
import { ConsulProvider } from '../../src/providers/consul/consul-provider.ts';
import { ConsulFront, type FrontAnswer, type FrontRequest } from '../support/consul-front.ts';
import { consulApi } from '../support/consul-site.ts';
import { eventually } from '../support/eventually.ts';
import { StoreServer } from '../support/store-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const put = (key: string, value: string) => ({ type: 'put' as const, key, value: new TextEncoder().encode(value) });

/** A real Consul, a front before it, and a provider that knows only the front. */
class Watched implements AsyncDisposable {
  readonly consul: StoreServer;
  readonly front: ConsulFront;
  readonly provider: ConsulProvider;
  /** As the watches told them: `+ key value` and `- key`. */
  readonly told: string[] = [];
  readonly failures: unknown[] = [];
  /** Keys and values by what was told. */
  readonly state = new Map<string, string>();
  gaps = 0;
  relists = 0;
  readonly #stop = new AbortController();
  #following: Promise<void> | undefined;

  private constructor(consul: StoreServer, front: ConsulFront) {
    this.consul = consul;
    this.front = front;
    this.provider = new ConsulProvider({ hosts: [front.host], namespace: 'app' });
  }

  static async start(): Promise<Watched> {
    const consul = await StoreServer.startConsul();
    const watched = new Watched(consul, await ConsulFront.start(() => consul.port));
    await watched.provider.open();
    return watched;
  }

  /** Lists, then watches from there, again after each failure as a feed does. */
  async follow(): Promise<void> {
    let position = await this.#list();
    this.#following = (async () => {
      while (!this.#stop.signal.aborted) {
        try {
          const watch = this.provider.watch('app/', { after: position, signal: this.#stop.signal });
          watch.requestProgress();
          for await (const batch of watch) {
            position = batch.revision;
            if (batch.gap === true) this.gaps++;
            for (const change of batch.changes) this.#take(change);
          }
        } catch (error) {
          this.failures.push(error);
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (isAttuneError(error, 'COMPACTED')) position = await this.#list();
        }
      }
    })();
    await this.blocked();
  }

  /** Resolves once Consul holds a blocking query that was not there before. */
  async blocked(): Promise<void> {
    const before = this.polls().length;
    await this.outside('app/mark', String(before));
    await eventually(() => expect([this.state.get('app/mark'), this.polls().length > before]).toEqual([String(before), true]));
  }

  polls(): readonly FrontRequest[] {
    return this.front.requests.filter(({ query }) => query.has('index'));
  }

  async outside(key: string, value: string | undefined): Promise<void> {
    await consulApi(this.consul, value === undefined ? 'DELETE' : 'PUT', `/kv/${key}`, value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.provider.close();
    await this.#following;
    await this.front[Symbol.asyncDispose]();
    await this.consul[Symbol.asyncDispose]();
  }

  async #list(): Promise<Revision> {
    for (;;) {
      try {
        const { revision, entries } = await this.provider.list('app/');
        this.relists++;
        this.state.clear();
        for (const { key, value } of entries) this.state.set(key, Buffer.from(value).toString());
        return revision;
      } catch (error) {
        this.failures.push(error);
        if (this.#stop.signal.aborted) return 0 as Revision;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #take(change: StoredChange): void {
    if (change.type === 'delete') {
      this.state.delete(change.key);
      if (change.key !== 'app/mark') this.told.push(`- ${change.key}`);
      return;
    }
    const { key, value } = change.entry;
    this.state.set(key, Buffer.from(value).toString());
    if (key !== 'app/mark') this.told.push(`+ ${key} ${Buffer.from(value).toString()}`);
  }
}

const isPoll = ({ query }: FrontRequest): boolean => query.has('index');
const indexed = (answer: FrontAnswer, index: string): FrontAnswer => ({
  ...answer,
  headers: { ...answer.headers, 'x-consul-index': index },
});

function withoutKey(answer: FrontAnswer, key: string): FrontAnswer {
  const kept = (JSON.parse(answer.body) as { readonly Key: string }[]).filter(({ Key }) => Key !== key);
  return { ...answer, body: JSON.stringify(kept) };
}

/** Holds what blocking queries are answered until it is opened: what happens meanwhile happens between two lists. */
function holdPolls(front: ConsulFront): () => void {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  front.alter = async (answer, request) => {
    if (isPoll(request)) await opened;
    return answer;
  };
  return () => {
    front.alter = (answer) => answer;
    open();
  };
}

describe('between two lists of Consul', () => {
  it('a key that was deleted and made again is told as both, with the value it has now', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    const release = holdPolls(watched.front);
    await watched.outside('app/other', 'wakes the query');
    await watched.outside('app/a', undefined);
    await watched.outside('app/a', 'two');
    release();
    await eventually(() => expect(watched.state.get('app/a')).toBe('two'));
    await watched.blocked();
    expect(watched.told.filter((line) => line.includes('app/a'))).toEqual(['- app/a', '+ app/a two']);
  });

  it('a key that another tool made and deleted is told to nobody, and the next batch tells of a gap', async () => {
    await using watched = await Watched.start();
    await watched.follow();
    const release = holdPolls(watched.front);
    const gaps = watched.gaps;
    await watched.outside('app/other', 'wakes the query');
    await watched.outside('app/brief', 'x');
    await watched.outside('app/brief', undefined);
    release();
    await watched.blocked();
    expect(watched.told).toEqual(['+ app/other wakes the query']);
    expect(watched.gaps).toBeGreaterThan(gaps);
  });

  it('a key that this node made and another tool deleted is told as gone', async () => {
    await using watched = await Watched.start();
    await watched.follow();
    const release = holdPolls(watched.front);
    await watched.outside('app/other', 'wakes the query');
    await watched.provider.commit({ checks: [], operations: [put('app/brief', 'x')] });
    await watched.outside('app/brief', undefined);
    release();
    await eventually(() => expect(watched.told).toContain('- app/brief'));
  });

  it('a value put again by another tool is no change, one put again through the provider is', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'same');
    await watched.follow();
    await watched.outside('app/a', 'same');
    await watched.blocked();
    expect(watched.told).toEqual([]);
    const first = await watched.provider.commit({ checks: [], operations: [put('app/a', 'same')] });
    const second = await watched.provider.commit({ checks: [{ key: 'app/a', revision: first }], operations: [put('app/a', 'same')] });
    expect(second).toBeGreaterThan(first);
    await eventually(() => expect(watched.told.at(-1)).toBe('+ app/a same'));
    await expect(
      watched.provider.commit({ checks: [{ key: 'app/a', revision: first }], operations: [put('app/a', 'late')] }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('an index of Consul', () => {
  it('that falls, as after a forgotten deletion, leads to one consistent look and to no change', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    const asked = watched.front.requests.length;
    let fallen = 0;
    watched.front.alter = (answer, request) => (isPoll(request) && fallen++ === 0 ? indexed(answer, '3') : answer);
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'));
    await watched.blocked();
    expect(watched.told).toEqual(['+ app/b two']);
    expect(watched.failures).toEqual([]);
    expect(watched.front.requests.slice(asked).some(({ query }) => query.has('recurse') && query.has('consistent'))).toBe(true);
  });

  it('that stays low is not asked for again and again', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    // As where the last change under the prefix was a deletion that Consul has forgotten, and the table has moved on.
    for (let round = 0; round < 20; round++) await watched.outside('elsewhere/key', String(round));
    const { revision } = await watched.provider.list('app/');
    const asked = watched.front.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(watched.front.requests.length - asked).toBeLessThan(20);
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'));
    expect((await watched.provider.list('app/')).revision).toBeGreaterThan(revision);
  });

  it.each(['0', 'none', '-4', ''])('that reads %j is never blocked on', async (header) => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    let altered = 0;
    watched.front.alter = (answer, request) => (request.query.has('recurse') && altered++ < 5 ? indexed(answer, header) : answer);
    const asked = watched.front.requests.length;
    await watched.outside('app/b', 'two');
    await eventually(() => expect([watched.state.get('app/b'), altered > 5]).toEqual(['two', true]));
    await watched.blocked();
    expect(watched.told.filter((line) => line.startsWith('-'))).toEqual([]);
    expect(watched.front.requests.slice(asked).every(({ query }) => query.get('index') !== '0')).toBe(true);
  });

  it('that comes back unchanged and at once ends the watch: so does Consul at a restore', async () => {
    await using watched = await Watched.start();
    await watched.follow();
    watched.front.instead = (request) =>
      isPoll(request)
        ? { status: 200, headers: { 'content-type': 'application/json', 'x-consul-index': request.query.get('index') ?? '' }, body: '[]' }
        : undefined;
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.failures[0]).toMatchObject({ code: 'UNAVAILABLE' }));
    watched.front.instead = () => undefined;
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'));
    expect(watched.told).toEqual(['+ app/b two']);
  });
});

describe('a backup put back into Consul under a watch', () => {
  it('ends the watch, also where writes went past what was known: nothing of the lost history stays', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'kept');
    const backup = Buffer.from(await (await consulApi(watched.consul, 'GET', '/snapshot')).arrayBuffer());
    await watched.follow();
    await watched.outside('app/a', 'lost');
    await watched.outside('app/b', 'lost');
    await eventually(() => expect([watched.state.get('app/a'), watched.state.get('app/b')]).toEqual(['lost', 'lost']));
    const release = holdPolls(watched.front);
    await consulApi(watched.consul, 'PUT', '/snapshot', backup);
    for (let round = 0; round < 20; round++) await watched.outside('app/new', String(round));
    release();
    await eventually(() =>
      expect([...watched.state].filter(([key]) => key !== 'app/mark')).toEqual(Object.entries({ 'app/a': 'kept', 'app/new': '19' })),
    );
    expect(watched.failures.length).toBeGreaterThan(0);
    expect(watched.told.filter((line) => line.startsWith('-'))).toEqual([]);
  });
});

describe('an answer that is not Consul’s', () => {
  it.each<[string, FrontAnswer]>([
    ['a page of a proxy', { status: 200, headers: { 'content-type': 'text/html', 'x-consul-index': '999999' }, body: '<h1>Welcome</h1>' }],
    ['nothing at all', { status: 200, headers: { 'content-type': 'application/json', 'x-consul-index': '999999' }, body: '' }],
    ['half a list', { status: 200, headers: { 'content-type': 'application/json', 'x-consul-index': '999999' }, body: '[{"Key":"app/a"' }],
    ['an object', { status: 200, headers: { 'content-type': 'application/json', 'x-consul-index': '999999' }, body: '{"Key":"app/a"}' }],
    ['an empty list', { status: 200, headers: { 'content-type': 'application/json', 'x-consul-index': '999999' }, body: '[]' }],
    ['404 without an index', { status: 404, headers: { 'content-type': 'text/plain' }, body: 'not found' }],
    ['404 with an index', { status: 404, headers: { 'x-consul-index': '999999' }, body: '' }],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' }],
    ['502 of a proxy', { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' }],
  ])('deletes nothing: %s', async (_name, answer) => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    watched.front.instead = (request) => (request.query.has('recurse') ? answer : undefined);
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.failures.length).toBeGreaterThan(2));
    expect(watched.told.filter((line) => line.startsWith('-'))).toEqual([]);
    expect(watched.state.get('app/a')).toBe('one');
    for (const failure of watched.failures) expect(['UNAVAILABLE', 'PROTOCOL', 'COMPACTED']).toContain((failure as { code: string }).code);
    watched.front.instead = () => undefined;
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'), 20_000);
    expect(watched.state.get('app/a')).toBe('one');
  });

  it.each<[string, number, string]>([
    ['a page of a proxy', 200, '<h1>Welcome</h1>'],
    ['nothing', 200, ''],
    ['no content', 204, ''],
    ['an empty object', 200, '{}'],
    ['null', 200, 'null'],
    ['a text where results belong', 200, '{"Results":"x"}'],
  ])('to a transaction is no success: %s', async (_name, status, body) => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.outside('app/b', 'two');
    await watched.follow();
    watched.front.instead = ({ path }) => (path === '/v1/txn' ? { status, headers: { 'content-type': 'text/html' }, body } : undefined);
    await expect(watched.provider.commit({ checks: [], operations: [put('app/a', 'new')] })).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
    });
    await expect(watched.provider.read(['app/a', 'app/b'])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    watched.front.alter = (answer, { query }) => (query.has('recurse') ? withoutKey(answer, 'app/a') : answer);
    await watched.outside('app/c', 'three');
    await eventually(() => expect(watched.failures.length).toBeGreaterThan(1));
    expect(watched.told.filter((line) => line.startsWith('-'))).toEqual([]);
  });

  it('leaves out one key, as a narrowed right does: it is kept until its absence is proven', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    watched.front.alter = (answer, { query }) => (query.has('recurse') ? withoutKey(answer, 'app/a') : answer);
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.failures[0]).toMatchObject({ details: { reason: 'visibility', key: 'app/a' } }));
    expect(watched.state.get('app/a')).toBe('one');
    watched.front.alter = (answer) => answer;
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'), 20_000);
    expect(watched.told.filter((line) => line.startsWith('-'))).toEqual([]);
  });
});

describe('a key that this node put and never saw', () => {
  it('is not told as gone while it is hidden, and is told when it shows', async () => {
    await using watched = await Watched.start();
    await watched.follow();
    const release = holdPolls(watched.front);
    await watched.outside('app/other', 'wakes the query');
    await watched.provider.commit({ checks: [], operations: [put('app/own', 'x')] });
    release();
    watched.front.alter = (answer, { query }) => (query.has('recurse') ? withoutKey(answer, 'app/own') : answer);
    await eventually(() => expect(watched.failures[0]).toMatchObject({ details: { reason: 'visibility', key: 'app/own' } }));
    await expect(watched.provider.list('app/')).rejects.toMatchObject({ details: { reason: 'visibility' } });
    expect(watched.told.filter((line) => line.includes('app/own'))).toEqual([]);
    watched.front.alter = (answer) => answer;
    await eventually(() => expect(watched.state.get('app/own')).toBe('x'), 20_000);
  });
});

describe('opening Consul', () => {
  it('does not wait for a list of everything', async () => {
    await using watched = await Watched.start();
    watched.front.alter = async (answer, { query }) => {
      if (query.has('recurse')) await new Promise((resolve) => setTimeout(resolve, 5_000).unref());
      return answer;
    };
    await using provider = new ConsulProvider({ hosts: [watched.front.host], namespace: 'app' });
    await provider.open({ deadlineMs: 2_000 });
  });
});

describe('a commit to a slow Consul', () => {
  it('ends by its deadline, however many keys it has to look at', async () => {
    await using watched = await Watched.start();
    watched.front.alter = async (answer, { method }) => {
      if (method === 'GET') await new Promise((resolve) => setTimeout(resolve, 400));
      return answer;
    };
    for (const name of ['a', 'b', 'c', 'd', 'e']) await watched.outside(`app/${name}`, 'there');
    const operations = ['a', 'b', 'c', 'd', 'e'].map((name) => put(`app/${name}`, 'new'));
    const startedAt = performance.now();
    await expect(watched.provider.commit({ checks: [], operations }, { deadlineMs: 600 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/within \d+ ms/) as string,
    });
    expect(performance.now() - startedAt).toBeLessThan(1_200);
  });
});

describe('an agent of Consul that asks for rest', () => {
  it('is left alone for as long as it says, and calls fail until then with what to do', async () => {
    await using watched = await Watched.start();
    await watched.outside('app/a', 'one');
    await watched.follow();
    watched.front.instead = () => ({ status: 429, headers: { 'retry-after': '1' }, body: 'rate limit exceeded' });
    await expect(watched.provider.list('app/')).rejects.toMatchObject({ code: 'UNAVAILABLE', details: { status: 429 } });
    const [asked, at] = [watched.front.requests.length, performance.now()];
    for (let call = 0; call < 10; call++) {
      await expect(watched.provider.commit({ checks: [], operations: [put('app/b', 'x')] })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('rest') as string,
      });
    }
    expect(watched.front.requests.slice(asked).filter((request) => request.at - at < 900)).toEqual([]);
    watched.front.instead = () => undefined;
    await watched.outside('app/b', 'two');
    await eventually(() => expect(watched.state.get('app/b')).toBe('two'), 20_000);
  });
});

describe('several agents of Consul', () => {
  it('stand in for each other: one that is gone, one that hangs, one that answers with its own trouble', async () => {
    await using consul = await StoreServer.startConsul();
    await using gone = await ConsulFront.start(() => consul.port);
    await using hanging = await TcpProxy.start(() => consul.port);
    await using troubled = await ConsulFront.start(() => consul.port);
    await using last = await ConsulFront.start(() => consul.port);
    await using provider = new ConsulProvider({ hosts: [gone.host, hanging.host, troubled.host, last.host], namespace: 'app' });
    await provider.open();
    expect([gone.requests.length > 0, last.requests.length]).toEqual([true, 0]);
    hanging.pause('toServer');
    troubled.instead = () => ({ status: 500, headers: {}, body: 'No cluster leader' });
    await gone[Symbol.asyncDispose]();
    const values: string[] = [];
    for (let step = 0; step < 6; step++) {
      const value = `value ${step}`;
      const outcome = await provider.commit({ checks: [], operations: [put('app/a', value)] }, { deadlineMs: 1_000 }).then(
        () => 'applied',
        (error: unknown) => (isAttuneError(error) ? error.code : String(error)),
      );
      const stored = Buffer.from(await (await consulApi(consul, 'GET', '/kv/app/a?raw').catch(() => new Response(''))).arrayBuffer());
      // The hanging one took the request: what became of it is not known. The troubled one says that it was not applied.
      if (outcome === 'applied') expect(stored.toString()).toBe(value);
      else expect(['OUTCOME_UNKNOWN', 'UNAVAILABLE']).toContain(outcome);
      values.push(outcome);
    }
    expect(values.slice(-3)).toEqual(['applied', 'applied', 'applied']);
    const posts = last.requests.filter(({ path, method }) => path === '/v1/txn' && method === 'PUT');
    expect(posts.length).toBeGreaterThanOrEqual(3);
  });

  it('are watched in turn: what was written while one was gone is told once', async () => {
    await using consul = await StoreServer.startConsul();
    await using first = await TcpProxy.start(() => consul.port);
    await using second = await ConsulFront.start(() => consul.port);
    await using provider = new ConsulProvider({ hosts: [first.host, second.host], namespace: 'app' });
    await provider.open();
    const stop = new AbortController();
    let position = (await provider.list('app/')).revision;
    const told: string[] = [];
    const following = (async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const batch of provider.watch('app/', { after: position, signal: stop.signal })) {
            position = batch.revision;
            for (const change of batch.changes) if (change.type === 'put') told.push(Buffer.from(change.entry.value).toString());
          }
        } catch (error) {
          if (!isAttuneError(error, 'UNAVAILABLE')) throw error;
        }
      }
    })();
    await consulApi(consul, 'PUT', '/kv/app/a', 'one');
    await eventually(() => expect(told).toEqual(['one']));
    await first[Symbol.asyncDispose]();
    await consulApi(consul, 'PUT', '/kv/app/a', 'two');
    await eventually(() => expect(told).toEqual(['one', 'two']));
    await consulApi(consul, 'PUT', '/kv/app/a', 'three');
    await eventually(() => expect(told).toEqual(['one', 'two', 'three']));
    expect(second.requests.some(isPoll)).toBe(true);
    stop.abort();
    await following;
  });
});
