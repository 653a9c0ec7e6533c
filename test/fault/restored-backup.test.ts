import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { eventually } from '../support/eventually.ts';
import { exchange, type Answer } from '../support/http-exchange.ts';
import { HttpStream } from '../support/http-stream.ts';
import { NodeProcess } from '../support/node-process.ts';

const ITEM = '/api/v1/configs/app/pool-size';

/**
 * A data directory is copied, the service goes on, then the copy is put back: revisions fall and are given out again for other changes.
 * Whoever holds a position or a version from the time that is gone must be told; nobody may go on as if nothing had happened.
 */
describe.each([
  { situation: 'revisions are still below those that clients hold', writesAfterwards: 0 },
  { situation: 'revisions have overtaken those that clients hold', writesAfterwards: 40 },
])('NoSilentLoss: a restored backup, when $situation', ({ writesAfterwards }) => {
  let folder: string;
  let node: NodeProcess;
  let client: ConfigClient;
  /** From before the backup: still of this history. */
  let kept: { cursor: string; etag: string };
  /** From the time that the backup does not know. */
  let lost: { cursor: string; etag: string };

  const put = async (value: unknown, key = 'app/pool-size', headers: Record<string, string> = {}): Promise<Answer> =>
    exchange(node.port, {
      method: 'PUT',
      path: `/api/v1/configs/${key}`,
      body: JSON.stringify({ value }),
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  const held = (answer: Answer): { cursor: string; etag: string } => ({
    cursor: answer.header('attune-cursor') ?? '',
    etag: answer.header('etag') ?? '',
  });

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'attune-backup-'));
    const [data, backup] = [path.join(folder, 'data'), path.join(folder, 'backup')];
    node = await NodeProcess.start(data);
    const { port } = node;
    await put(1, 'app/stable');
    kept = held(await put(10));
    await node.end('SIGTERM');
    await cp(data, backup, { recursive: true });

    node = await NodeProcess.start(data, port);
    client = await ConfigClient.connect({ url: node.url, prefix: 'app/', onError: () => undefined });
    for (let count = 0; count < 20; count++) await put(count, 'app/gone');
    lost = held(await put(11));
    await eventually(() => expect(client.get('app/pool-size')).toBe(11));
    await node.end('SIGTERM');

    await rm(data, { recursive: true });
    await cp(backup, data, { recursive: true });
    node = await NodeProcess.start(data, port);
    for (let count = 0; count < writesAfterwards; count++) await put(count, 'app/other');
  }, 60_000);

  afterAll(async () => {
    await client.close();
    await node.end('SIGTERM');
    await rm(folder, { recursive: true });
  });

  it('a stream with a lost cursor is reset for its epoch and sent the true state', async () => {
    const stream = await HttpStream.open(node.port, { path: '/api/v1/watch', headers: { 'Last-Event-ID': lost.cursor } });
    const events = await stream.until('synced');
    stream.close();
    expect(events[0]).toMatchObject({ event: 'reset', data: { reason: 'epoch' } });
    const items = events.filter(({ event }) => event === 'snapshot').flatMap(({ data }) => data.items);
    expect(items.find(({ key }) => key === 'app/pool-size')).toMatchObject({ value: 10 });
    expect(items.some(({ key }) => key === 'app/gone')).toBe(false);
  });

  it('a long-poll with a lost cursor is answered 410 for its epoch, with a cursor to go on from', async () => {
    const answer = await exchange(node.port, { path: `/api/v1/configs?watch&since=${lost.cursor}&wait=1s` });
    expect(answer.status).toBe(410);
    expect(answer.json()).toMatchObject({ code: 'CURSOR_GONE', reason: 'epoch' });
    expect((await exchange(node.port, { path: `/api/v1/configs?watch&since=${answer.json().cursor}&wait=0s` })).status).toBe(200);
  });

  it('a reader that has seen a lost position is answered 410, not an older state', async () => {
    const answer = await exchange(node.port, { path: `${ITEM}?minRevision=${lost.cursor}` });
    expect(answer.status).toBe(410);
    expect(answer.json()).toMatchObject({ code: 'CURSOR_GONE', reason: 'epoch' });
  });

  it('a lost entity tag gives no 304', async () => {
    const answer = await exchange(node.port, { path: ITEM, headers: { 'If-None-Match': lost.etag } });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ value: 10 });
  });

  it('ConditionalWrite: a lost entity tag is refused 412 and nothing is changed', async () => {
    const answer = await put(99, 'app/pool-size', { 'If-Match': lost.etag });
    expect(answer.status).toBe(412);
    expect((await exchange(node.port, { path: ITEM })).json()).toMatchObject({ value: 10 });
  });

  it('Resumable: a cursor from before the backup goes on, for it is of this history', async () => {
    const stream = await HttpStream.open(node.port, { path: '/api/v1/watch', headers: { 'Last-Event-ID': kept.cursor } });
    const events = await stream.until('synced');
    stream.close();
    expect(events.map(({ event }) => event)).toEqual([...Array.from({ length: writesAfterwards }, () => 'change'), 'synced']);
  });

  it('an entity tag from before the backup still holds', async () => {
    expect((await exchange(node.port, { path: ITEM, headers: { 'If-None-Match': kept.etag } })).status).toBe(304);
  });

  it('Converges: a client that lived through it ends with what the store holds', async () => {
    await eventually(() => {
      expect(client.get('app/pool-size')).toBe(10);
      expect(client.get('app/gone')).toBeUndefined();
      expect(client.status.state).toBe('live');
    });
  });
});
