import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryProvider } from '../../../../src/providers/memory/memory-provider.ts';
import { ConfigService } from '../../../../src/server/config-service.ts';
import type { Departure } from '../../../../src/server/http/departure.ts';
import { LongPolls, type PollOptions } from '../../../../src/server/http/long-poll.ts';

const everything = { keys: [], prefixes: [''] };

interface Held {
  readonly answer: Promise<string | undefined>;
  isSettled: boolean;
}

let provider: MemoryProvider;
let service: ConfigService;

beforeEach(async () => {
  provider = new MemoryProvider();
  service = new ConfigService({ provider, namespace: 'ns' });
  service.start();
  await service.reached(service.revision);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(async () => {
  vi.useRealTimers();
  await service.close();
  await provider.close();
});

function hold(polls: LongPolls, options: Partial<PollOptions<string>> = {}): Held {
  const answer = polls.wait<string>({
    filter: everything,
    waitMs: 30_000,
    departure: { isGone: false, onGone: undefined },
    client: '127.0.0.1',
    evaluate: () => undefined,
    onReset: () => 'reset',
    ...options,
  });
  const held: Held = { answer, isSettled: false };
  answer.then(
    () => (held.isSettled = true),
    () => (held.isSettled = true),
  );
  return held;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function write(key: string): Promise<void> {
  const revision = await provider.commit({ checks: [], operations: [{ type: 'put', key: `ns/${key}`, value: Buffer.from('1') }] });
  vi.useRealTimers();
  await service.reached(revision);
}

describe('the time of a poll', () => {
  it.each([1, 20, 100, 500, 1_000, 8_000, 30_000, 120_000])(
    'of %d ms ends a little before it is over, never after, wherever the dice fall',
    async (waitMs) => {
      for (const dice of [0, 0.5, 0.999_999]) {
        const polls = new LongPolls({ service, random: () => dice });
        const held = hold(polls, { waitMs });
        const earliest = Math.max(0, Math.floor(waitMs - 20 - Math.min(waitMs / 16, 500)));
        await vi.advanceTimersByTimeAsync(Math.max(0, earliest - 1));
        if (earliest > 1) expect(held.isSettled).toBe(false);
        await vi.advanceTimersByTimeAsync(waitMs - Math.max(0, earliest - 1));
        expect(held.isSettled).toBe(true);
        await expect(held.answer).resolves.toBeUndefined();
        expect(polls.size).toBe(0);
      }
    },
  );

  it('of nothing is answered at once and looked at once', async () => {
    const polls = new LongPolls({ service });
    const evaluate = vi.fn(() => undefined);
    await expect(hold(polls, { waitMs: 0, evaluate }).answer).resolves.toBeUndefined();
    expect(evaluate).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a poll', () => {
  it('looks once more at its end, while it still hears of changes', async () => {
    const polls = new LongPolls({ service });
    const registered: number[] = [];
    const { answer } = hold(polls, {
      waitMs: 1_000,
      evaluate: () => {
        registered.push(polls.size);
        return registered.length === 2 ? 'at the end' : undefined;
      },
    });
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(answer).resolves.toBe('at the end');
    expect(registered).toEqual([1, 1]);
  });

  it('is registered before the state is compared: a change in between is seen', async () => {
    const polls = new LongPolls({ service });
    let isRegistered: boolean | undefined;
    const { answer } = hold(polls, {
      evaluate: () => {
        isRegistered ??= polls.size === 1;
        return 'now';
      },
    });
    await expect(answer).resolves.toBe('now');
    expect(isRegistered).toBe(true);
  });

  it('looks at every batch that matches until it has an answer', async () => {
    const polls = new LongPolls({ service });
    const seen: (string | undefined)[] = [];
    const { answer } = hold(polls, {
      filter: { keys: ['wanted', 'too'], prefixes: [] },
      evaluate: (batch) => {
        seen.push(batch?.derived.map(({ key }) => key).join());
        return seen.length === 3 ? 'third' : undefined;
      },
    });
    for (const key of ['other', 'wanted', 'other', 'too']) await write(key);
    await expect(answer).resolves.toBe('third');
    expect(seen).toEqual([undefined, 'wanted', 'too']);
    expect(polls.size).toBe(0);
  });

  it('is settled once and leaves no timer, listener or subscription', async () => {
    const polls = new LongPolls({ service });
    const departure: Departure = { isGone: false, onGone: undefined };
    const evaluate = vi.fn((batch: unknown) => (batch ? 'changed' : undefined));
    const { answer } = hold(polls, { departure, evaluate });
    await write('a');
    await expect(answer).resolves.toBe('changed');
    await write('b');
    expect(evaluate).toHaveBeenCalledTimes(2);
    expect(departure.onGone).toBeUndefined();
    expect(polls.size).toBe(0);
  });

  it('ends when its client is gone', async () => {
    const polls = new LongPolls({ service });
    const departure: Departure = { isGone: false, onGone: undefined };
    const held = hold(polls, { departure });
    departure.onGone?.();
    await expect(held.answer).resolves.toBeUndefined();
    expect([polls.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('of a client that is gone before it begins is not held', async () => {
    const polls = new LongPolls({ service });
    await expect(hold(polls, { departure: { isGone: true, onGone: undefined } }).answer).resolves.toBeUndefined();
    expect(polls.size).toBe(0);
  });

  it('fails with what looking at the state throws, at once and later', async () => {
    const polls = new LongPolls({ service });
    await expect(
      hold(polls, {
        evaluate: () => {
          throw new Error('at once');
        },
      }).answer,
    ).rejects.toThrow('at once');
    const { answer } = hold(polls, {
      evaluate: (batch) => {
        if (batch) throw new Error('later');
        return undefined;
      },
    });
    answer.catch(() => undefined);
    await write('a');
    await expect(answer).rejects.toThrow('later');
    expect(polls.size).toBe(0);
  });
});

it('all polls are answered when the node drains', async () => {
  const polls = new LongPolls({ service });
  const held = [hold(polls), hold(polls), hold(polls)];
  expect(polls.size).toBe(3);
  polls.releaseAll();
  await turn();
  expect(held.every(({ isSettled }) => isSettled)).toBe(true);
  expect([polls.size, vi.getTimerCount()]).toEqual([0, 0]);
});
