import { describe, expect, it } from 'vitest';
import { ClosedError } from '../../src/core/provider.ts';
import { createLayout } from '../../src/server/store/layout.ts';
import type { ConfigKey } from '../../src/core/key.ts';
import { Cluster, NAMESPACE } from '../support/cluster.ts';
import { HANGS, REFUSED, REPLY_LOST, REQUEST_LOST, type CommitFault, type FaultyProvider } from '../support/faulty-provider.ts';

const layout = createLayout(NAMESPACE);

/** The next commit meets `fault`; those after it do not. */
function failNextCommit(provider: FaultyProvider, fault: CommitFault): void {
  provider.onCommit = () => {
    provider.onCommit = () => undefined;
    return fault;
  };
}

/** Writes of a key that the store keeps a record of. */
async function recordsOf(cluster: Cluster, key: string): Promise<number> {
  return (await cluster.store.list(layout.historyPrefix(key as ConfigKey))).entries.length;
}

function requireVerdict(cluster: Cluster): void {
  expect(cluster.verdict()).toEqual([]);
}

describe('a commit without a reply', () => {
  it('is a success if its history record is there', async () => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, REPLY_LOST);
    const answer = await cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true });
    expect(answer.status).toBe(201);
    expect(answer.body.version).toBe(cluster.store.position.revision);
    expect(await recordsOf(cluster, 'a')).toBe(1);
    requireVerdict(cluster);
  });

  it('is a success even if another tool has overwritten it since', async () => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, { isApplied: true, after: async () => void (await cluster.outside({ a: '"theirs"' })) });
    const answer = await cluster.write(cluster.node, { key: 'a', value: 'ours', isUnique: true });
    expect(answer.status).toBe(201);
    expect(answer.body.version).toBe(cluster.store.position.revision - 1);
    expect((await cluster.read(cluster.node, 'a')).body.value).toBe('theirs');
    expect(await recordsOf(cluster, 'a')).toBe(1);
    requireVerdict(cluster);
  });

  it('is a success even if it was deleted through another node since', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    failNextCommit(cluster.node.provider, {
      isApplied: true,
      after: async () => void (await cluster.write(cluster.nodeAt(1), { key: 'a' })),
    });
    expect((await cluster.write(cluster.node, { key: 'a', value: 'ours', isUnique: true })).status).toBe(201);
    expect((await cluster.read(cluster.node, 'a')).status).toBe(404);
    requireVerdict(cluster);
  });

  it('never gives a false 412 to a compare-and-set', async () => {
    await using cluster = await Cluster.start();
    const { body } = await cluster.write(cluster.node, { key: 'a', value: 1 });
    for (const condition of [{ ifVersion: body.version ?? 0 }, { ifMatch: body.etag ?? '' }]) {
      const first = await cluster.write(cluster.node, { key: 'b', value: 'x', ifAbsent: true });
      failNextCommit(cluster.node.provider, REPLY_LOST);
      const answer = await cluster.write(cluster.node, { key: 'b', value: 'y', ifMatch: first.body.etag ?? '' });
      expect(answer.status).toBe(200);
      failNextCommit(cluster.node.provider, REPLY_LOST);
      expect((await cluster.write(cluster.node, { key: 'b', ifVersion: answer.body.version ?? 0 })).status).toBe(204);
      expect(condition).toBeDefined();
    }
    failNextCommit(cluster.node.provider, REPLY_LOST);
    expect((await cluster.write(cluster.node, { key: 'a', value: 2, ifVersion: body.version ?? 0 })).status).toBe(200);
    requireVerdict(cluster);
  });

  it('is unknown (504) if nothing tells, and is not sent again', async () => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, REQUEST_LOST);
    const commits = cluster.node.provider.calls.length;
    const answer = await cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true });
    expect(answer).toMatchObject({ status: 504, body: { code: 'OUTCOME_UNKNOWN' } });
    expect(cluster.node.provider.calls.slice(commits)).toEqual(['commit', 'read']);
    expect((await cluster.read(cluster.node, 'a')).status).toBe(404);
    requireVerdict(cluster);
  });

  it('is unknown if the store cannot be asked, and answered within 2 s', async () => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, { isApplied: true, after: async () => cluster.node.provider.down() });
    const start = performance.now();
    const answer = await cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true });
    expect(answer).toMatchObject({ status: 504, body: { code: 'OUTCOME_UNKNOWN' } });
    expect(performance.now() - start).toBeLessThan(2_500);
    cluster.node.provider.up();
    await cluster.caughtUp(cluster.node);
    expect((await cluster.read(cluster.node, 'a')).body.value).toBe(1);
    expect(await recordsOf(cluster, 'a')).toBe(1);
  });

  it('that arrives late is applied once, and the next write follows it', async () => {
    await using cluster = await Cluster.start();
    const { provider } = cluster.node;
    let late = async (): Promise<void> => undefined;
    provider.onCommit = (transaction) => {
      provider.onCommit = () => undefined;
      late = async () => void (await cluster.store.commit(transaction));
      return REQUEST_LOST;
    };
    expect((await cluster.write(cluster.node, { key: 'a', value: 'late' })).status).toBe(504);
    await late();
    await cluster.caughtUp(cluster.node);
    expect((await cluster.write(cluster.node, { key: 'a', value: 'next' })).status).toBe(200);
    expect(await recordsOf(cluster, 'a')).toBe(2);
  });

  it('that arrives late, after the key moved on, is refused by its own checks', async () => {
    await using cluster = await Cluster.start();
    const { provider } = cluster.node;
    let late = async (): Promise<unknown> => undefined;
    provider.onCommit = (transaction) => {
      provider.onCommit = () => undefined;
      late = () => cluster.store.commit(transaction);
      return REQUEST_LOST;
    };
    expect((await cluster.write(cluster.node, { key: 'a', value: 'late' })).status).toBe(504);
    expect((await cluster.write(cluster.node, { key: 'a', value: 'first' })).status).toBe(201);
    expect((await cluster.write(cluster.node, { key: 'a' })).status).toBe(204);
    await expect(late()).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('is decided again if the key moved: certainly not applied', async () => {
    await using cluster = await Cluster.start();
    const theirs: CommitFault = { isApplied: false, after: async () => void (await cluster.outside({ a: '"theirs"' })) };
    failNextCommit(cluster.node.provider, theirs);
    expect((await cluster.write(cluster.node, { key: 'a', value: 'ours', isUnique: true })).status).toBe(200);
    const version = (await cluster.read(cluster.node, 'a')).body.version ?? 0;
    failNextCommit(cluster.node.provider, theirs);
    expect((await cluster.write(cluster.node, { key: 'a', value: 'again', isUnique: true, ifVersion: version })).status).toBe(412);
    expect(await recordsOf(cluster, 'a')).toBe(1);
    requireVerdict(cluster);
  });

  it('is decided again if another node took its place in history', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    failNextCommit(cluster.node.provider, {
      isApplied: false,
      after: async () => {
        await cluster.write(cluster.nodeAt(1), { key: 'a', value: 'theirs', isUnique: true });
        // The value and the sidecar are as they were: only the record tells.
        await cluster.outside({ a: null, '.attune/meta/a': null });
      },
    });
    expect((await cluster.write(cluster.node, { key: 'a', value: 'ours', isUnique: true })).status).toBe(201);
    expect(await recordsOf(cluster, 'a')).toBe(2);
  });

  it.each([
    ['a fault nobody foresaw', new TypeError('socket hang up')],
    ['the store being closed', new ClosedError('the store is closed')],
  ])('is settled after %s, too', async (_name, error) => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, { isApplied: true, error });
    expect((await cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true })).status).toBe(201);
    failNextCommit(cluster.node.provider, { isApplied: false, error });
    expect((await cluster.write(cluster.node, { key: 'b', value: 1, isUnique: true })).body.code).toBe('OUTCOME_UNKNOWN');
    requireVerdict(cluster);
  });
});

describe('a write that is refused', () => {
  it('by the store, is 503 and leaves nothing', async () => {
    await using cluster = await Cluster.start();
    failNextCommit(cluster.node.provider, REFUSED);
    expect(await cluster.write(cluster.node, { key: 'a', value: 1, isUnique: true })).toMatchObject({
      status: 503,
      body: { code: 'UNAVAILABLE' },
    });
    requireVerdict(cluster);
  });

  it('after 10 attempts is 503 and leaves nothing', async () => {
    await using cluster = await Cluster.start();
    let attempts = 0;
    cluster.node.provider.onCommit = () => {
      attempts++;
      return { isApplied: true, error: null, before: async () => void (await cluster.outside({ a: JSON.stringify(attempts) })) };
    };
    const start = performance.now();
    expect(await cluster.write(cluster.node, { key: 'a', value: 'ours', isUnique: true })).toMatchObject({
      status: 503,
      body: { code: 'UNAVAILABLE' },
    });
    expect(performance.now() - start).toBeLessThan(3_000);
    expect(attempts).toBe(10);
    expect(await recordsOf(cluster, 'a')).toBe(0);
    requireVerdict(cluster);
  });

  it('while the store hangs waits for its turn at most 2 s, however many are before it', async () => {
    await using cluster = await Cluster.start();
    cluster.node.provider.onCommit = () => HANGS;
    const start = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => cluster.write(cluster.node, { key: 'a', value: index, isUnique: true })),
    );
    // A turn that comes late is not worth a whole commit.
    expect(performance.now() - start).toBeLessThan(2_500);
    const codes = answers.map(({ body }) => body.code);
    expect(new Set(codes)).toEqual(new Set(['OUTCOME_UNKNOWN', 'UNAVAILABLE']));
    expect(codes.filter((code) => code === 'OUTCOME_UNKNOWN').length).toBeLessThan(3);
    requireVerdict(cluster);
  });

  it('is numbered after the records there are, whatever else lies beside them', async () => {
    await using cluster = await Cluster.start();
    const archive = layout.historyPrefix('h' as ConfigKey);
    const junk = ['zzz', '0000000000000001', '9/0'].map((name) => ({
      type: 'put' as const,
      key: archive + name,
      value: Buffer.from('junk'),
    }));
    await cluster.store.commit({ checks: [], operations: junk });
    for (const value of [1, 2, 3]) expect((await cluster.write(cluster.node, { key: 'h', value })).status).toBe(value === 1 ? 201 : 200);
    const { entries } = await cluster.store.list(archive);
    expect(entries.map(({ key }) => key.slice(archive.length))).toEqual([
      '0000000000000001',
      '0000000000000002',
      '0000000000000003',
      '0000000000000004',
      '9/0',
      'zzz',
    ]);
  });

  it('because this node does not show it in time is 504 and says that it stands', async () => {
    await using cluster = await Cluster.start();
    cluster.node.provider.hold();
    const answer = await cluster.write(cluster.node, { key: 'a', value: 1 });
    expect(answer).toMatchObject({
      status: 504,
      body: { code: 'DEADLINE_EXCEEDED', committed: true, version: cluster.store.position.revision },
    });
    cluster.node.provider.release();
    await cluster.caughtUp(cluster.node);
    expect((await cluster.read(cluster.node, 'a')).body.version).toBe(answer.body.version);
  });
});

describe('64 writers of one key', () => {
  const writers = Array.from({ length: 64 }, (_, index) => index);

  it.each([1, 2])('on %d nodes: all succeed, each with a version of its own', async (nodes) => {
    await using cluster = await Cluster.start({ nodes });
    const watcher = cluster.watcher();
    await watcher.connect(cluster.node.server.url);
    await watcher.untilEvent('synced');
    const answers = await Promise.all(
      writers.map((index) => cluster.write(cluster.nodeAt(index), { key: 'a', value: `v${index}`, isUnique: true })),
    );
    const statuses = answers.map(({ status }) => status).sort();
    if (nodes === 1) expect(statuses).toEqual([...writers.slice(1).map(() => 200), 201]);
    // Nodes collide; one that gave up has written nothing, which the judge proves.
    else expect(statuses.filter((status) => status === 200 || status === 201).length).toBeGreaterThan(30);
    const versions = answers.flatMap(({ body }) => body.version ?? []);
    expect(new Set(versions).size).toBe(versions.length);
    expect(await recordsOf(cluster, 'a')).toBe(versions.length);
    await cluster.settle();
    requireVerdict(cluster);
  });

  it.each([1, 2])('on %d nodes with the same condition: exactly one wins', async (nodes) => {
    await using cluster = await Cluster.start({ nodes });
    for (const condition of [{ ifVersion: 0 }, { ifAbsent: true }]) {
      const key = `a${Object.keys(condition).join('')}`;
      const answers = await Promise.all(
        writers.map((index) => cluster.write(cluster.nodeAt(index), { key, value: `v${index}`, isUnique: true, ...condition })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([201, ...writers.slice(1).map(() => 412)]);
    }
    const { body } = await cluster.read(cluster.node, 'aifVersion');
    for (const condition of [{ ifVersion: body.version ?? 0 }, { ifMatch: body.etag ?? '' }]) {
      const answers = await Promise.all(
        writers.map((index) =>
          cluster.write(cluster.nodeAt(index), {
            key: 'aifVersion',
            value: `${Object.keys(condition).join('')} ${index}`,
            isUnique: true,
            ...condition,
          }),
        ),
      );
      expect(answers.filter(({ status }) => status === 200).length).toBe('ifVersion' in condition ? 1 : 0);
      expect(answers.filter(({ status }) => status === 412).length).toBe('ifVersion' in condition ? 63 : 64);
    }
    await cluster.settle();
    requireVerdict(cluster);
  });
});

describe('a write on a node that lags', () => {
  it('ReadYourWrites: an unchanged write is acknowledged once this node shows the version it names', async () => {
    await using cluster = await Cluster.start({ nodes: 2 });
    const lagging = cluster.nodeAt(1);
    await cluster.write(cluster.node, { key: 'a', value: 'old' });
    await cluster.caughtUp(lagging);
    lagging.provider.hold();
    const { body } = await cluster.write(cluster.node, { key: 'a', value: 'new' });
    const writing = cluster.write(lagging, { key: 'a', value: 'new' });
    setTimeout(() => lagging.provider.release(), 100);
    expect(await writing).toMatchObject({ status: 200, body: { version: body.version } });
    expect((await cluster.read(lagging, 'a')).body.value).toBe('new');
    requireVerdict(cluster);
  });

  it('ConditionalWrite: a tag of an epoch this node has not seen yet is not refused', async () => {
    await using cluster = await Cluster.start({ nodes: 1 });
    const lagging = cluster.node;
    await cluster.write(lagging, { key: 'a', value: 'old' });
    lagging.provider.hold();
    const started = await cluster.addNode();
    const { body } = await cluster.write(started, { key: 'a', value: 'new' });
    const writing = cluster.write(lagging, { key: 'a', value: 'newer', ifMatch: body.etag ?? '' });
    setTimeout(() => lagging.provider.release(), 100);
    expect((await writing).status).toBe(200);
    requireVerdict(cluster);
  });

  it('names the tag of a refused write as every node does', async () => {
    await using cluster = await Cluster.start({ nodes: 1 });
    const lagging = cluster.node;
    await cluster.write(lagging, { key: 'a', value: 'old' });
    lagging.provider.hold();
    const started = await cluster.addNode();
    const { body } = await cluster.write(started, { key: 'a', value: 'new' });
    const writing = cluster.write(lagging, { key: 'a', value: 'newer', ifVersion: 1 });
    setTimeout(() => lagging.provider.release(), 100);
    expect(await writing).toMatchObject({ status: 412, body: { current: { version: body.version, etag: body.etag } } });
  });
});
