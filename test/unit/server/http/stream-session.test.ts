import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { MemoryProvider } from '../../../../src/providers/memory/memory-provider.ts';
import { ConfigService } from '../../../../src/server/config-service.ts';
import type { BoundedConnection } from '../../../../src/server/http/bounded-connection.ts';
import { Places } from '../../../../src/server/http/places.ts';
import { Turns } from '../../../../src/server/turns.ts';
import { FrameCache } from '../../../../src/server/http/frame-cache.ts';
import { StreamSession } from '../../../../src/server/http/stream-session.ts';

const STALL_MS = 30_000;
const EVERYTHING = { keys: [], prefixes: [''] };

/** A socket with room for so many frames: `take` is the reader. */
class Pipe {
  readonly taken: string[] = [];
  readonly #frames: Buffer[] = [];
  readonly #capacity: number;
  #onDrain = (): void => undefined;
  isDestroyed = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get hasRoom(): boolean {
    return !this.isDestroyed && this.#frames.length < this.#capacity;
  }

  write(frame: Buffer): void {
    this.#frames.push(frame);
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  /** Reads frames; only who has read all of them is heard of, as with a socket. */
  take(count: number): void {
    this.taken.push(...this.#frames.splice(0, count).map(String));
    if (this.#frames.length === 0) this.#onDrain();
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

describe('a stream whose reader is slow', () => {
  let provider: MemoryProvider;
  let service: ConfigService;
  let pipe: Pipe;
  let session: StreamSession;
  let writes = 0;

  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const revision = await provider.commit({
        checks: [],
        operations: [{ type: 'put', key: 'app/k', value: Buffer.from(String(++writes)) }],
      });
      await service.reached(revision);
    }
  };
  const values = (): number[] => pipe.taken.flatMap((frame) => /"newValue":(\d+)/.exec(frame)?.[1] ?? []).map(Number);

  beforeEach(async () => {
    writes = 0;
    provider = new MemoryProvider();
    service = new ConfigService({ provider, namespace: 'app' });
    service.start();
    await service.reached(service.revision);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    pipe = new Pipe(4);
    const connection = pipe as unknown as BoundedConnection;
    const frames = new FrameCache(service);
    const options = {
      service,
      connection,
      filter: EVERYTHING,
      frames,
      // No burst ends: how fast the machine is makes no difference.
      turns: new Turns(undefined, () => 0),
      places: new Places(32),
      now: () => 0,
      stallMs: STALL_MS,
    };
    session = new StreamSession({ ...options, onReset: () => undefined, onTooSlow: () => undefined }, service.revision);
    service.subscribe(EVERYTHING, session);
    session.start(undefined, false);
  });
  afterEach(async () => {
    session.dispose();
    vi.useRealTimers();
    await service.close();
    await provider.close();
  });

  it('is closed when it has taken nothing for the time given', async () => {
    await write(10);
    vi.advanceTimersByTime(STALL_MS - 1);
    expect(pipe.isDestroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(pipe.isDestroyed).toBe(true);
  });

  // Regression: only a socket that was read empty counted as drained, which never happens to a reader that is slower than the writers.
  it('is not closed while it reads steadily, though there is always something left to read', async () => {
    await write(10);
    for (let second = 0; second < 120; second++) {
      pipe.take(1);
      await write(1);
      vi.advanceTimersByTime(1_000);
    }
    expect(pipe.isDestroyed).toBe(false);
    for (let i = 0; i < 200; i++) pipe.take(4);
    expect(values()).toEqual(Array.from({ length: 130 }, (_, index) => index + 1));
  });

  it('goes on by itself when there is room again and nobody says so', async () => {
    await write(10);
    pipe.take(3);
    vi.advanceTimersByTime(STALL_MS);
    expect(pipe.isDestroyed).toBe(false);
    pipe.take(4);
    expect(values()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('leaves no timer when it ends', async () => {
    await write(10);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    session.dispose();
    expect(vi.getTimerCount()).toBe(0);
  });
});
