import { describe, expect, test } from 'vitest';
import type { FrameRequest } from '../../../src/client/frame-source.ts';
import type { ServerFrame } from '../../../src/client/frames.ts';
import type { Revision } from '../../../src/core/revision.ts';
import { SyncLoop } from '../../../src/client/sync-loop.ts';
import type { SyncState } from '../../../src/client/sync.ts';
import { FakeClock } from './fake-clock.ts';

const SYNCED: ServerFrame = { kind: 'synced', cursor: 'e-1', revision: 1 as Revision, count: 0 };
const OUT_OF_PLACE: ServerFrame = { kind: 'bookmark', cursor: 'e-1', revision: 1 as Revision };

/** What each connection does in turn; a connection that is not in the script stays silent until it is aborted. */
type Connection = (options: FrameRequest) => AsyncGenerator<ServerFrame, void, undefined>;

function setUp(...script: readonly Connection[]) {
  const clock = new FakeClock();
  const phases: string[] = [];
  const errors: unknown[] = [];
  let onError: (error: unknown) => void = () => undefined;
  let connections = 0;
  const loop = new SyncLoop({
    source: (request) => (script[connections++] ?? silent)(request),
    clock,
    random: () => 0,
    backoff: { baseMs: 100, factor: 1, maxMs: 100 },
    onData: () => undefined,
    onError: (error) => {
      errors.push(error);
      onError(error);
    },
    onStep: (_before: SyncState, { phase }: SyncState) => phases.push(phase.name),
  });
  return { clock, loop, phases, errors, connections: () => connections, whenFailing: (act: () => void) => (onError = act) };
}

async function* silent({ signal }: FrameRequest): AsyncGenerator<ServerFrame, void, undefined> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  yield* [];
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('SyncLoop', () => {
  test('does not hear what an abandoned connection still says', async () => {
    let letGo = (): void => undefined;
    const reluctant: Connection = async function* () {
      try {
        yield OUT_OF_PLACE;
      } finally {
        await new Promise<void>((resolve) => (letGo = resolve));
        // oxlint-disable-next-line no-unsafe-finally -- a transport that fails while it is being closed
        throw new Error('too late');
      }
    };
    const { loop, clock, errors, connections, phases } = setUp(reluctant, async function* (options) {
      yield SYNCED;
      yield* silent(options);
    });
    loop.start();
    await turn();
    clock.advance(100);
    await turn();
    letGo();
    await turn();
    expect(phases).toEqual(['syncing', 'waiting', 'syncing', 'live']);
    expect(errors).toMatchObject([{ code: 'PROTOCOL' }]);
    expect(connections()).toBe(2);
    await loop.close();
  });

  test('finishes a step before it takes what a listener asks for', async () => {
    const { loop, phases, whenFailing } = setUp(async function* () {
      yield OUT_OF_PLACE;
    });
    whenFailing(() => void loop.close());
    loop.start();
    await turn();
    expect(phases).toEqual(['syncing', 'waiting', 'closed']);
  });

  test('has at most one connection and one timer', async () => {
    const failing: Connection = async function* () {
      yield OUT_OF_PLACE;
    };
    const { loop, clock, connections } = setUp(failing, failing, failing);
    loop.start();
    loop.start();
    for (let expected = 1; expected <= 3; expected++) {
      await turn();
      expect(connections()).toBe(expected);
      expect(clock.pending).toEqual([0]);
      clock.advance(0);
    }
    await turn();
    await loop.close();
    expect(clock.pending).toEqual([]);
  });

  test('close waits until the connection is given back', async () => {
    let isReleased = false;
    const { loop } = setUp(async function* (options) {
      yield SYNCED;
      await silent(options).next();
      await turn();
      isReleased = true;
    });
    loop.start();
    await turn();
    await loop.close();
    expect(isReleased).toBe(true);
  });
});
