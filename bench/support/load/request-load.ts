import type { Socket } from 'node:net';
import { ascending, thin } from '../statistics.ts';
import { ResponseReader } from './response-reader.ts';
import { openSocket } from './socket.ts';

/** Points kept of a distribution. */
const POINTS = 1_001;
const STALL_MS = 30_000;

export interface RequestLoad {
  readonly port: number;
  /** Whole requests as they go over the wire; used in turn, each connection beginning elsewhere. */
  readonly requests: readonly string[];
  readonly connections: number;
  /** Statuses that are right; any other one ends the load. */
  readonly statuses: readonly number[];
  /** For so long, after the warm-up, or every request once. */
  readonly until: { readonly durationMs: number; readonly warmUpMs: number } | 'each-once';
}

export interface RequestLoadResult {
  /** Answers within the time that counts. */
  readonly completed: number;
  readonly seconds: number;
  /** With those of the warm-up. */
  readonly total: number;
  /** Milliseconds, sorted, thinned out. */
  readonly latencies: readonly number[];
}

/** A closed loop: each connection sends its next request when the answer to the last one is complete. */
export async function loadRequests(load: RequestLoad): Promise<RequestLoadResult> {
  const { port, connections, until } = load;
  const requests = load.requests.map((text) => Buffer.from(text));
  const latencies: number[] = [];
  const isTimed = until !== 'each-once';
  const sockets: Socket[] = [];
  let total = 0;
  let next = 0;
  let begin = Number.POSITIVE_INFINITY;
  let end = Number.POSITIVE_INFINITY;
  let last = 0;
  let heardAt = performance.now();
  let settle: { readonly done: () => void; readonly fail: (error: Error) => void } | undefined;
  const over = new Promise<void>((resolve, reject) => (settle = { done: resolve, fail: reject }));
  let working = connections;

  const run = async (): Promise<void> => {
    const reader = new ResponseReader();
    let sentAt = 0;
    let turn = Math.floor((sockets.length * requests.length) / connections);
    const send = (): void => {
      const now = performance.now();
      if (isTimed ? now >= end : next >= requests.length) {
        working--;
        if (working === 0) settle?.done();
        return;
      }
      const request = requests[isTimed ? turn++ % requests.length : next++];
      sentAt = now;
      if (request) socket.write(request);
    };
    const onBytes = (bytes: Buffer): void => {
      try {
        if (reader.read(bytes) === 0) return;
      } catch (error) {
        settle?.fail(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      const now = performance.now();
      heardAt = now;
      if (!load.statuses.includes(reader.status)) {
        settle?.fail(new Error(`answered with ${reader.status} instead of ${load.statuses.join(' or ')}: ${reader.head}`));
        return;
      }
      total++;
      // What was begun before the warm-up's end tells nothing of a steady state.
      if (sentAt >= begin && now <= end) latencies.push(now - sentAt);
      last = now;
      send();
    };
    const socket = await openSocket(port, {
      onBytes,
      onClose: () => settle?.fail(new Error(`the server closed a connection after ${total} answers`)),
    });
    sockets.push(socket);
    start.push(send);
  };
  const start: (() => void)[] = [];
  for (let index = 0; index < connections; index++) await run();
  const startedAt = performance.now();
  begin = startedAt + (isTimed ? until.warmUpMs : 0);
  if (isTimed) end = begin + until.durationMs;
  const watchdog = setInterval(() => {
    if (performance.now() - heardAt > STALL_MS) settle?.fail(new Error(`no answer for ${STALL_MS} ms, after ${total}`));
  }, 1_000);
  try {
    for (const send of start) send();
    await over;
  } finally {
    clearInterval(watchdog);
    for (const socket of sockets) socket.removeAllListeners('close').destroy();
  }
  const seconds = (isTimed ? until.durationMs : last - startedAt) / 1_000;
  return { completed: latencies.length, seconds, total, latencies: thin(ascending(latencies), POINTS) };
}
