import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigClient } from '../../src/client/index.ts';
import { freePort } from '../support/free-ports.ts';
import { FakeClock } from '../unit/client/fake-clock.ts';
import { created, item } from '../unit/client/wire-samples.ts';
import { rejection } from './client/observe.ts';
import { json, ScriptedServer } from './client/scripted-server.ts';

async function live(server: ScriptedServer, clock?: FakeClock) {
  const client = new ConfigClient({ url: server.url, prefix: '', ...(clock && { clock }) });
  const started = client.start();
  const stream = (await server.stream()).state(10, item('a', 1, 4));
  await started;
  return { client, stream };
}

describe('close', () => {
  test('gives the connection back, and may be called again', async () => {
    await using server = await ScriptedServer.start();
    const { client, stream } = await live(server);
    await Promise.all([client.close(), client.close()]);
    await client.close();
    await stream.closed;
    expect(client.status).toEqual({ state: 'closed' });
  });

  test('comes with await using', async () => {
    await using server = await ScriptedServer.start();
    const { client, stream } = await live(server);
    {
      await using scoped = client;
      expect(scoped.get('a')).toBe(1);
    }
    await stream.closed;
  });

  test('leaves no timer, whatever the client was waiting for', async () => {
    await using server = await ScriptedServer.start();
    const clock = new FakeClock();
    const { client, stream } = await live(server, clock);
    await client.close();
    expect(clock.pending).toEqual([]);
    await stream.closed;

    const waiting = new ConfigClient({
      url: `http://127.0.0.1:${await freePort()}`,
      prefix: '',
      clock,
      random: () => 1,
      onError: () => undefined,
    });
    const backoff = clock.next(250);
    const failed = rejection(waiting.start());
    await backoff;
    await waiting.close();
    expect(await failed).toMatchObject({ code: 'CLOSED' });
    expect(clock.pending).toEqual([]);
  });

  test('ends loops after what they were owed', async () => {
    await using server = await ScriptedServer.start();
    const { client, stream } = await live(server);
    const heard = new Promise((resolve) => client.watch('b', resolve));
    const changes = client.changes();
    stream.change(11, created('b', 2, 11));
    await heard;
    await client.close();
    const keys: string[] = [];
    for await (const { key } of changes) keys.push(key);
    expect(keys).toEqual(['b']);
  });

  test('leaves nothing on a signal that outlives it, of calls that ended nor of loops that go on', async () => {
    await using server = await ScriptedServer.start();
    const outliving = new AbortController();
    const client = new ConfigClient({ url: server.url, prefix: '' });
    const started = client.start({ signal: outliving.signal });
    const stream = (await server.stream()).state(10, item('a', 1, 4));
    await started;
    const changes = client.changes({ signal: outliving.signal });
    const next = changes.next();
    await client.close();
    expect((await next).done).toBe(true);
    expect(getEventListeners(outliving.signal, 'abort')).toEqual([]);
    await stream.closed;
  });

  test('ends calls under way and waits', async () => {
    await using server = await ScriptedServer.start();
    const { client } = await live(server);
    const sent = new Promise<void>((resolve) => {
      server.script = () => {
        resolve();
        return new Promise(() => undefined);
      };
    });
    const failed = rejection(client.set('a', 2));
    await sent;
    await client.close();
    expect(await failed).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  test('refuses what is asked afterwards, but the last values can be read', async () => {
    await using server = await ScriptedServer.start();
    const { client } = await live(server);
    await client.close();
    expect(client.get('a')).toBe(1);
    expect(() => client.watch('a', () => undefined)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(() => client.changes()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(await rejection(client.start())).toMatchObject({ code: 'CLOSED' });
    expect(await rejection(client.set('a', 2))).toMatchObject({ code: 'CLOSED' });
  });

  test('from within a listener silences the rest of what is being told', async () => {
    await using server = await ScriptedServer.start();
    const { client, stream } = await live(server);
    const heard: unknown[] = [];
    let closing: Promise<void> | undefined;
    const told = new Promise<void>((resolve) =>
      client.watch('b', (value) => {
        heard.push(value);
        closing = client.close();
        resolve();
      }),
    );
    client.watch('b', (value) => heard.push(['too late', value]));
    client.watch('c', (value) => heard.push(['too late', value]));
    stream.change(11, created('b', 2, 11), created('c', 3, 11));
    await told;
    await closing;
    expect(heard).toEqual([2]);
    await stream.closed;
  });

  test('lets the process end by itself', async () => {
    await using server = await ScriptedServer.start();
    server.script = () => json(item('a', 2, 11), 200, 'application/json', { 'attune-revision': '11' });
    const program = fileURLToPath(new URL('client/closing-program.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', program, server.url], { stdio: ['ignore', 'pipe', 'inherit'] });
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    const exit = once(child, 'exit');
    (await server.stream()).state(10, item('a', 1, 4));
    // Still open: if it holds a socket, a timer or a listener, this waits until the test's own end.
    expect(await exit).toEqual([0, null]);
    expect(Buffer.concat(output).toString()).toBe('read 1, wrote 2, closed\n');
  });
});
