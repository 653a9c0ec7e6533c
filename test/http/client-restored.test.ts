import { afterEach, describe, expect, test } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../unit/client/fake-clock.ts';
import { created, item } from '../unit/client/wire-samples.ts';
import { AT_ONCE, recordChanges } from './client/observe.ts';
import { json, ScriptedServer } from './client/scripted-server.ts';

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A client that wrote `app/a` at revision 6 of a history before its stream had told it anything; then comes what `state` says. */
async function ahead() {
  const server = await ScriptedServer.start();
  const clock = new FakeClock();
  const client = new ConfigClient({ url: server.url, prefix: 'app/', backoff: AT_ONCE, clock });
  opened.push(server, client);
  const changes = recordChanges(client);
  const started = client.start();
  const stream = await server.stream();
  const position = { 'attune-revision': '6', 'attune-cursor': 'old-6' };
  server.script = () => json(item('app/a', 'mine', 6, { etag: 'old-6' }), 201, 'application/json', position);
  await client.set('app/a', 'mine');
  expect(client.get('app/a')).toBe('mine');
  return { client, server, clock, stream, changes, started };
}

describe('a store that was put back after a write of the client, before any stream told of it', () => {
  test('shows what the store has at the version of that write', async () => {
    const { client, stream, changes, started } = await ahead();
    stream.state(2);
    await started;
    stream.change(6, created('app/a', 'theirs', 6)).change(7, created('app/end', 1, 7));
    await changes.through('app/end');
    expect(client.get('app/a')).toBe('theirs');
  });

  test('shows that the store no longer has it, when the stream has passed its version', async () => {
    const { client, stream, changes, started } = await ahead();
    stream.state(2);
    await started;
    stream.change(7, created('app/end', 1, 7));
    await changes.through('app/end');
    expect(client.get('app/a')).toBeUndefined();
  });

  test('shows so before the frame that passes its version is told', async () => {
    const { client, stream, started, changes } = await ahead();
    stream.state(2);
    await started;
    const read: unknown[] = [];
    client.watch('app/end', () => void read.push(client.get('app/a')));
    stream.change(7, created('app/end', 1, 7));
    await changes.through('app/end');
    expect(read).toEqual([undefined]);
  });

  test.each([
    ['no server knows its history any more', 410, 'CURSOR_GONE', undefined],
    ['it counts, and was deleted since', 404, 'NOT_FOUND', 'mine'],
    ['no server can say', 503, 'UNAVAILABLE', 'mine'],
  ])('asks, once live, where the stream stands before it: %s', async (_name, status, code, shown) => {
    const { client, server, stream, started, changes } = await ahead();
    const asked: string[] = [];
    server.script = ({ target }) => {
      asked.push(target);
      return json({ code, detail: 'so it is', reason: 'epoch' }, status, 'application/problem+json');
    };
    stream.state(2);
    await started;
    stream.change(3, created('app/b', 1, 3));
    await changes.through('app/b');
    await eventually(() => expect(client.get('app/a')).toBe(shown));
    stream.change(4, created('app/c', 1, 4));
    await changes.through('app/c');
    expect(asked).toEqual(['/api/v1/configs/app/a?minRevision=old-6']);
    expect(client.get('app/a')).toBe(shown);
  });

  test('asks again, 5 s after no server could say', async () => {
    const { client, server, clock, stream, started, changes } = await ahead();
    let asked = 0;
    let status = 503;
    server.script = () => {
      asked++;
      return json({ code: status === 503 ? 'UNAVAILABLE' : 'CURSOR_GONE', detail: 'so it is' }, status, 'application/problem+json');
    };
    const unanswered = new Promise((resolve) => client.onError(resolve));
    stream.state(2);
    await started;
    await unanswered;
    status = 410;
    clock.advance(4_999);
    stream.change(3, created('app/b', 1, 3));
    await changes.through('app/b');
    expect(asked).toBe(1);
    clock.advance(1);
    stream.change(4, created('app/c', 1, 4));
    await eventually(() => expect(client.get('app/a')).toBeUndefined());
    expect(asked).toBe(2);
  });

  test('a state at or above its version replaces it', async () => {
    const { client, stream, started } = await ahead();
    stream.state(6, item('app/a', 'theirs', 6));
    await started;
    expect(client.get('app/a')).toBe('theirs');
  });
});
