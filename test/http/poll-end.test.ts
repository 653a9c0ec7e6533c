import { expect, it } from 'vitest';

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
