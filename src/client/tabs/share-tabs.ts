import { UnavailableError } from '../../core/errors.ts';
import type { Sharing } from '../client-options.ts';
import type { FrameRequest, FrameSource, WrapSource } from '../frame-source.ts';
import type { ServerFrame } from '../frames.ts';
import { Copy } from './copy.ts';

/** Who shares. */
export interface ShareTabsOptions {
  /**
   * Clients of one origin with the same name, servers and prefixes share. Who may see different things (another user, another token) must
   * have another name.
   */
  readonly name: string;
}

/** What the tabs say to each other. */
type Message =
  | { readonly type: 'hello'; readonly from: string; readonly cursor: string | undefined }
  | { readonly type: 'welcome'; readonly to: string; readonly frames: readonly ServerFrame[] }
  | { readonly type: 'frame'; readonly frame: ServerFrame }
  | { readonly type: 'alive' }
  | { readonly type: 'lost'; readonly reason: string };

/** The parts of the web platform that are used, which Node's types lack in part. */
interface LockManager {
  request(name: string, options: object, callback: (lock: object | null) => Promise<void> | undefined): Promise<unknown>;
}

const HELLO_EVERY_MS = 1_000;
/** Without a welcome a tab goes on with a stream of its own. */
const WELCOME_WITHIN_MS = 10_000;
const ALIVE_EVERY_MS = 15_000;
/** Browsers slow the timers of tabs in the background down to one a minute. */
const SILENCE_MS = 150_000;

/**
 * For the option `share` of a client in a page: the tabs of one origin take turns in holding the one stream, and the one that holds it hands
 * its frames on. When it is closed, another one goes on from its own cursor. Where the browser has no Web Locks or no BroadcastChannel each
 * tab has its own.
 */
export function shareTabs({ name }: ShareTabsOptions): Sharing {
  const wrap: WrapSource = (source, scope) => {
    const locks = (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
    if (!locks || typeof BroadcastChannel === 'undefined') return source;
    const copy = new Copy();
    const channelName = `attune ${name} ${scope}`;
    return async function* (request) {
      const release = await hold(locks, channelName, { ifAvailable: true });
      if (release) {
        try {
          yield* lead(source, request, { copy, channelName });
        } finally {
          release();
        }
      } else yield* follow(source, request, { copy, channelName, locks });
    };
  };
  return { wrap };
}

interface Shared {
  readonly copy: Copy;
  readonly channelName: string;
}

/** Frames of a stream of our own, which the others hear too. */
async function* lead(
  source: FrameSource,
  request: FrameRequest,
  { copy, channelName }: Shared,
): AsyncGenerator<ServerFrame, void, undefined> {
  const { say, close } = openChannel(channelName, (message) => {
    if (message.type === 'hello' && copy.position) say({ type: 'welcome', to: message.from, frames: copy.framesFor(message.cursor) });
  });
  const timer = setInterval(() => say({ type: 'alive' }), ALIVE_EVERY_MS);
  let reason = 'it was closed';
  try {
    for await (const frame of source(request)) {
      copy.take(frame);
      // Where this tab is sent away to, it goes alone.
      if (frame.kind !== 'goaway') say({ type: 'frame', frame });
      yield frame;
    }
    reason = 'the stream ended';
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
    throw error;
  } finally {
    clearInterval(timer);
    say({ type: 'lost', reason });
    close();
  }
}

/** Frames that another tab hands on. Ends when that one is gone, so that the next request may take its place. */
async function* follow(
  source: FrameSource,
  request: FrameRequest,
  { copy, channelName, locks }: Shared & { readonly locks: LockManager },
): AsyncGenerator<ServerFrame, void, undefined> {
  const { signal, cursor } = request;
  const own = new AbortController();
  const from = crypto.randomUUID();
  const frames: ServerFrame[] = [];
  let isWelcome = false;
  let failure: string | undefined;
  let heardAt = Date.now();
  let wake: () => void = () => undefined;
  const fail = (reason: string): void => {
    failure ??= reason;
    wake();
  };
  const { say, close } = openChannel(channelName, (message) => {
    heardAt = Date.now();
    if (message.type === 'welcome' && message.to === from && !isWelcome) {
      isWelcome = true;
      frames.push(...message.frames);
    } else if (message.type === 'frame' && isWelcome) frames.push(message.frame);
    else if (message.type === 'lost') fail(`the tab that held the stream lost it: ${message.reason}`);
    wake();
  });
  const hello = (): void => say({ type: 'hello', from, cursor });
  const startedAt = Date.now();
  const timer = setInterval(() => {
    if (!isWelcome) hello();
    if (Date.now() - heardAt > SILENCE_MS) fail('the tab that holds the stream has been silent');
    wake();
  }, HELLO_EVERY_MS);
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  hold(locks, channelName, { signal: own.signal }).then(
    (release) => {
      release?.();
      fail('the tab that held the stream is gone');
    },
    () => undefined,
  );
  hello();
  try {
    while (!signal.aborted) {
      const frame = frames.shift();
      if (frame) {
        request.onHeard();
        copy.take(frame);
        yield frame;
      } else if (failure !== undefined) throw new UnavailableError(failure);
      else if (!isWelcome && Date.now() - startedAt > WELCOME_WITHIN_MS) break;
      else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    own.abort();
    clearInterval(timer);
    signal.removeEventListener('abort', onAbort);
    close();
  }
  if (!signal.aborted) {
    for await (const frame of source(request)) {
      copy.take(frame);
      yield frame;
    }
  }
}

interface Channel {
  readonly say: (message: Message) => void;
  readonly close: () => void;
}

function openChannel(name: string, onMessage: (message: Message) => void): Channel {
  const channel = new BroadcastChannel(name);
  channel.addEventListener('message', (event) => onMessage((event as Event & { readonly data: Message }).data));
  return {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel has none
    say: (message) => channel.postMessage(message),
    close: () => channel.close(),
  };
}

/** The function that gives the lock back; undefined where another tab has it and it is not waited for. */
function hold(locks: LockManager, name: string, options: object): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, options, (lock) => {
        if (lock) return new Promise<void>((release) => resolve(release));
        resolve(undefined);
        return undefined;
      })
      .catch(reject);
  });
}
