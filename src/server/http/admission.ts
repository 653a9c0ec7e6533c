import { AttuneError } from '../../core/errors.ts';

/** Requests that are held for long. */
export type HeldKind = 'stream' | 'poll';

export interface AdmissionLimits {
  /** Streams open at once. Default 20,000. */
  readonly maxStreams: number;
  /** Long-polls held at once. Default 20,000. */
  readonly maxPolls: number;
  /** Streams and polls of one address together; 0 is no limit. Default 0: on loopback every process has the same one. */
  readonly maxHeldPerClient: number;
  /** Snapshots being sent at once; further ones wait. Default 32. */
  readonly maxSnapshots: number;
}

export const DEFAULT_ADMISSION: AdmissionLimits = Object.freeze({
  maxStreams: 20_000,
  maxPolls: 20_000,
  maxHeldPerClient: 0,
  maxSnapshots: 32,
});

/** Which limit was reached: that of the node, or that of the client. */
export type RefusalReason = 'node' | 'client';

export interface AdmissionOptions {
  readonly limits?: Partial<AdmissionLimits> | undefined;
  readonly random?: (() => number) | undefined;
  readonly onRefused?: (kind: HeldKind, reason: RefusalReason) => void;
}

const RETRY_MIN_MS = 2_000;
const RETRY_MAX_MS = 20_000;

/** Counts what is held, on this node and for each client, and refuses what is above the limits. */
export class Admission {
  readonly limits: AdmissionLimits;
  readonly #random: () => number;
  readonly #onRefused: (kind: HeldKind, reason: RefusalReason) => void;
  readonly #held = { stream: 0, poll: 0 };
  readonly #heldBy = new Map<string, number>();

  constructor({ limits, random = Math.random, onRefused = () => undefined }: AdmissionOptions = {}) {
    this.limits = { ...DEFAULT_ADMISSION, ...limits };
    this.#random = random;
    this.#onRefused = onRefused;
  }

  /**
   * Lets one more in and returns what gives its place back, to be called once.
   * @throws {AttuneError} UNAVAILABLE: the node is full; RATE_LIMITED: the client is. `details.retryAfter` says when to come back, in seconds,
   * spread so that those who were refused together do not come back together.
   */
  enter(kind: HeldKind, client: string): () => void {
    const { maxStreams, maxPolls, maxHeldPerClient } = this.limits;
    const max = kind === 'stream' ? maxStreams : maxPolls;
    const heldByClient = this.#heldBy.get(client) ?? 0;
    if (this.#held[kind] >= max) {
      const setting = kind === 'stream' ? '--max-streams' : '--max-polls';
      throw this.#refuse(kind, 'node', `this node holds ${max} ${kind}s, as many as ${setting} allows`);
    }
    if (maxHeldPerClient > 0 && heldByClient >= maxHeldPerClient) {
      const what = `${client} holds ${maxHeldPerClient} streams and polls, as many as --max-held-per-client allows`;
      throw this.#refuse(kind, 'client', what);
    }
    this.#held[kind]++;
    this.#heldBy.set(client, heldByClient + 1);
    return () => {
      this.#held[kind]--;
      const left = (this.#heldBy.get(client) ?? 1) - 1;
      if (left === 0) this.#heldBy.delete(client);
      else this.#heldBy.set(client, left);
    };
  }

  /** When to come back after a refusal. Milliseconds. */
  retryMs(): number {
    return RETRY_MIN_MS + this.#random() * (RETRY_MAX_MS - RETRY_MIN_MS);
  }

  #refuse(kind: HeldKind, reason: RefusalReason, what: string): AttuneError {
    this.#onRefused(kind, reason);
    const retryAfter = Math.ceil(this.retryMs() / 1_000);
    const advice = reason === 'node' ? 'ask another node, or come back' : 'watch more keys with one request, or come back';
    return new AttuneError(reason === 'node' ? 'UNAVAILABLE' : 'RATE_LIMITED', `${what}; ${advice} after ${retryAfter} s`, {
      details: { retryAfter },
    });
  }
}
