import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { exchange, type Answer } from '../support/http-exchange.ts';
import { HttpStream } from '../support/http-stream.ts';
import { NodeProcess } from '../support/node-process.ts';
import { StoreServer } from '../support/store-server.ts';

const live = (node: NodeProcess) => async () => expect((await exchange(node.port, { path: '/readyz' })).status).toBe(200);
const put = async (node: NodeProcess, key: string, value: unknown): Promise<Answer> =>
  exchange(node.port, {
    method: 'PUT',
    path: `/api/v1/configs/${key}`,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ value }),
  });

interface Told {
  readonly key: string;
  readonly version: number;
  readonly newValue: unknown;
}

const WRITES = 120;

const STORES = [
  { scheme: 'etcd', start: () => StoreServer.startEtcd() },
  { scheme: 'consul', start: () => StoreServer.startConsul() },
] as const;

/** The highest version of each key, in order. */
const newestOf = (changes: readonly (readonly [string, number])[]): readonly (readonly [string, number])[] =>
  [...new Map([...changes].sort(([, one], [, other]) => one - other))].sort(([, one], [, other]) => one - other);

describe.each(STORES)('two nodes over one store at $scheme', ({ scheme, start }) => {
  it('see each other’s writes with minRevision, whichever wrote', async () => {
    await using store = await start();
    await using a = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await using b = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await eventually(live(a));
    await eventually(live(b));
    for (let round = 0; round < 30; round++) {
      const [writer, reader] = round % 2 ? [a, b] : [b, a];
      const written = await put(writer, 'app/x', round);
      expect([200, 201]).toContain(written.status);
      const { etag, version } = written.json();
      const read = await exchange(reader.port, { path: `/api/v1/configs/app/x?minRevision=${written.header('attune-cursor')}` });
      expect(read.json()).toMatchObject({ value: round, version, etag });
      const strong = await exchange(reader.port, { path: '/api/v1/configs/app/x?consistency=strong' });
      expect(strong.json()).toMatchObject({ value: round, version });
    }
    // A condition on one node's version holds on the other.
    const current = (await exchange(a.port, { path: '/api/v1/configs/app/x' })).json();
    const both = await Promise.all([put(a, `app/x?ifVersion=${current.version}`, 'a'), put(b, `app/x?ifVersion=${current.version}`, 'b')]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412]);
  });

  it('serve one stream in turn: moved with its cursor at any moment it misses nothing and repeats nothing', async () => {
    await using store = await start();
    await using a = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await using b = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await eventually(live(a));
    await eventually(live(b));
    const nodes = [a, b];
    const told: Told[] = [];
    let cursor = '';
    let moves = 0;

    const follow = async (): Promise<void> => {
      for (let isDone = false; !isDone;) {
        const node = nodes[moves++ % nodes.length] ?? a;
        const path = `/api/v1/watch?prefix=app/${cursor === '' ? '' : `&since=${cursor}`}`;
        const stream = await HttpStream.open(node.port, { path });
        // Cut after a few events, between any two of them.
        for (let left = 1 + (moves % 5); left > 0 && !isDone; left--) {
          const { event, id, data } = await stream.event();
          expect(['synced', 'change', 'bookmark']).toContain(event);
          if (id !== undefined) cursor = id;
          if (event !== 'change') continue;
          told.push(...data.changes);
          isDone = data.changes.some(({ key }: Told) => key === 'app/end');
        }
        stream.close();
      }
    };
    const first = (await exchange(a.port, { path: '/api/v1/status' })).header('attune-cursor');
    cursor = first ?? '';
    const following = follow();
    const versions: [string, number][] = [];
    const write = async (writer: NodeProcess, name: string): Promise<void> => {
      for (let index = 0; index < WRITES; index++) {
        const key = `app/${name}${index % 7}`;
        const answer = await put(writer, key, index);
        expect([200, 201]).toContain(answer.status);
        versions.push([key, answer.json().version]);
      }
    };
    await Promise.all([write(a, 'a'), write(b, 'b')]);
    const end = await put(b, 'app/end', true);
    await following;

    const expected = [...versions, ['app/end', end.json().version] as [string, number]].sort(([, one], [, other]) => one - other);
    const heard = told.map(({ key, version }): [string, number] => [key, version]);
    const { history } = (await exchange(b.port, { path: '/api/v1/status' })).json();
    expect(history).toBe(scheme === 'etcd' ? 'full' : 'latest');
    if (history === 'full') expect(heard).toEqual(expected);
    else {
      // Versions between two reads of the store may be merged; nothing is repeated, made up or told late, and the last one always comes.
      const all = new Set(expected.map(([key, version]) => `${key}@${version}`));
      expect(heard.filter(([key, version]) => !all.has(`${key}@${version}`))).toEqual([]);
      expect(new Set(heard.map(([key, version]) => `${key}@${version}`)).size).toBe(heard.length);
      expect(newestOf(heard)).toEqual(newestOf(expected));
      for (const key of new Set(heard.map(([name]) => name))) {
        const versions = heard.filter(([name]) => name === key).map(([, version]) => version);
        expect(versions).toEqual(versions.toSorted((one, other) => one - other));
      }
    }
    expect(moves).toBeGreaterThan(20);
  });

  it('keep a stream going while one of them is killed', async () => {
    await using store = await start();
    await using a = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await using b = await NodeProcess.over(`${scheme}://${store.host}/app/config`);
    await eventually(live(a));
    await eventually(live(b));
    const stream = await HttpStream.open(a.port, { path: '/api/v1/watch?prefix=app/' });
    await stream.until('synced');
    await put(b, 'app/one', 1);
    const id = (await stream.until('change')).at(-1)?.id;
    await a.end('SIGKILL');
    await put(b, 'app/two', 2);
    await put(b, 'app/three', 3);
    const moved = await HttpStream.open(b.port, { path: '/api/v1/watch?prefix=app/', headers: { 'Last-Event-ID': id ?? 'none' } });
    const keys: string[] = [];
    for (;;) {
      const { event, data } = await moved.event();
      if (event === 'synced') break;
      keys.push(...data.changes.map(({ key }: Told) => key));
    }
    expect(keys).toEqual(['app/two', 'app/three']);
    moved.close();
  });
});
