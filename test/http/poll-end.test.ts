import { connect } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { encodeRequest } from '../support/http-exchange.ts';
import { HttpService } from '../support/http-service.ts';

// Regression: the cursor of an empty answer was read a moment after the wait had ended, and could lie beyond a change that had come meanwhile.
it.each(Array.from({ length: 12 }, (_, index) => index))(
  'NoSilentLoss: a poll that ends while a change arrives tells it, or its cursor lies before it (%d steps apart)',
  async (steps) => {
    await using service = await HttpService.start();
    await service.set('a/x', 1);
    const polling = service.get(`/api/v1/configs?watch&prefix=a/&since=${await service.cursor()}&wait=30s`);
    await expect.poll(() => service.server.polls.size).toBe(1);
    const committing = service.store.commit({ checks: [], operations: [{ type: 'put', key: 'app/config/a/y', value: Buffer.from('2') }] });
    for (let step = 0; step < steps; step++) await Promise.resolve();
    service.server.polls.releaseAll();
    const revision = await committing;
    const answer = (await polling).json();
    const told = answer.changes.map(({ key }: { readonly key: string }) => key);
    const passed = Number(answer.cursor.split('-')[1]) >= revision;
    expect({ told }).toEqual({ told: passed ? ['a/y'] : [] });
  },
);

describe('a poll whose client leaves', () => {
  it.each([
    ['of one key', (_cursor: string) => ({ path: '/api/v1/configs/a/x?watch&wait=60s' })],
    ['of many keys', (_cursor: string) => ({ path: '/api/v1/configs?watch&prefix=a/&wait=60s' })],
    ['of many keys, from a position on', (cursor: string) => ({ path: `/api/v1/configs?watch&prefix=a/&wait=60s&since=${cursor}` })],
    [
      'that prefers to wait',
      (cursor: string) => ({ path: '/api/v1/configs/a/x', headers: { Prefer: 'wait=60', 'If-None-Match': `"${cursor}"` } }),
    ],
  ])('%s is held without an abort signal of its own, and let go of at once, and none is begun behind it', async (_what, ask) => {
    await using service = await HttpService.start();
    await service.set('a/x', 1);
    const made = vi.spyOn(globalThis, 'AbortController');
    const request = { headers: {}, ...ask(await service.cursor()) };
    made.mockClear();
    const socket = connect(service.server.port, '127.0.0.1');
    const bytes = encodeRequest(service.server.port, { ...request, headers: { ...request.headers, Connection: 'keep-alive' } });
    socket.write(bytes);
    socket.write(bytes);
    await expect.poll(() => service.server.polls.size).toBe(1);
    expect(made).not.toHaveBeenCalled();
    socket.destroy();
    await expect.poll(() => service.server.polls.size).toBe(0);
    made.mockRestore();
  });
});
