import type { CallOptions } from '../../core/provider.ts';
import { ClosedError, OutcomeUnknownError, UnavailableError } from '../../core/provider.ts';
import { isEndpointFailure, needsNewToken, readFailure, toAttuneError, wasNotSent } from './etcd-error.ts';
import { EtcdMember, type EtcdMemberOptions, type SendCall, type WatchStream } from './etcd-member.ts';

export interface EtcdOptions extends Pick<EtcdMemberOptions, 'tls' | 'credentials'> {
  /** `host:port` of members of one cluster. The first is used until it fails, then the next, in turn. */
  readonly hosts: readonly string[];
  /** Where the configuration lies: `app/config`, or `/app/config` for keys that begin with a slash. `open` proves it may be written. */
  readonly namespace: string;
}

export interface EtcdCall extends CallOptions {
  /** A commit: its outcome is unknown once it may have been sent. */
  readonly isWrite?: boolean;
}

/** For a call that states none. Milliseconds. */
export const DEFAULT_DEADLINE_MS = 5_000;
/** Milliseconds. */
const GRACE_MS = 50;

export interface OpenWatch {
  readonly stream: WatchStream;
  readonly endpoint: string;
  /** To be told what the watch failed of. */
  readonly report: (error: unknown) => Promise<void>;
}

/** One call, from its first try to its last. */
interface Flight {
  readonly isWrite: boolean;
  readonly deadline: number;
  /** Takes it back. */
  readonly stop: AbortController;
  /** Some try may have reached a server. */
  wasSent: boolean;
}

/**
 * The members of one etcd cluster, one of them at a time. etcd3 is the transport only: it neither retries nor holds a watch of its own.
 */
export class EtcdConnection {
  readonly #hosts: readonly string[];
  readonly #members: readonly EtcdMember[];
  /** Ends each call that is under way. */
  readonly #pending = new Set<(reason: Error) => void>();
  #current = 0;
  #closed: ClosedError | undefined;

  constructor({ hosts, tls, credentials }: EtcdOptions) {
    this.#hosts = hosts;
    this.#members = hosts.map((endpoint) => new EtcdMember({ endpoint, ...(tls && { tls }), ...(credentials && { credentials }) }));
  }

  get closed(): ClosedError | undefined {
    return this.#closed;
  }

  /**
   * Sends one call, to the next endpoint where it could not be sent at all, and never twice otherwise.
   * @throws what {@link toAttuneError} makes of a failure; the signal's reason if it was aborted, of a write only before it was sent.
   */
  async call<Reply>(send: SendCall<Reply>, { signal, deadlineMs = DEFAULT_DEADLINE_MS, isWrite = false }: EtcdCall = {}): Promise<Reply> {
    if (this.#closed) throw this.#closed;
    signal?.throwIfAborted();
    const flight: Flight = { isWrite, deadline: Date.now() + deadlineMs, stop: new AbortController(), wasSent: false };
    return new Promise<Reply>((resolve, reject) => {
      const settle = (finish: () => void): void => {
        if (!this.#pending.delete(giveUp)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const giveUp = (reason: Error): void =>
        settle(() => {
          const isUnknown = isWrite && flight.wasSent;
          reject(isUnknown ? new OutcomeUnknownError(`the write to etcd was given up: ${reason.message}`, { cause: reason }) : reason);
          // Otherwise it would go on, and hold the process, until its deadline.
          flight.stop.abort(reason);
        });
      const onAbort = (): void => giveUp(signal?.reason instanceof Error ? signal.reason : new ClosedError('aborted'));
      // gRPC's own deadline says more, and does not reach the wait for a token.
      const timer = setTimeout(() => giveUp(new UnavailableError(`etcd did not answer within ${deadlineMs} ms`)), deadlineMs + GRACE_MS);
      this.#pending.add(giveUp);
      signal?.addEventListener('abort', onAbort);
      this.#send(send, flight).then(
        (reply) => settle(() => resolve(reply)),
        (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  /** Opens a stream of watches. */
  async openWatch(): Promise<OpenWatch> {
    if (this.#closed) throw this.#closed;
    const member = this.#member();
    const { endpoint } = member;
    let token: string | undefined;
    try {
      token = await member.token();
      const stream = await member.openWatch(token);
      return { stream, endpoint, report: async (error) => this.#report(error, member, token) };
    } catch (error) {
      await this.#report(error, member, token);
      throw this.#closed ?? toAttuneError(error, endpoint, false);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = new ClosedError(`the connection to etcd at ${this.#hosts.join(', ')} is closed`);
    for (const giveUp of [...this.#pending]) giveUp(this.#closed);
    for (const member of this.#members) member.close();
  }

  /** After what a call or watch of `member` failed of, the next one goes elsewhere, or takes a new token first. */
  async #report(error: unknown, member: EtcdMember, token: string | undefined): Promise<void> {
    const index = this.#members.indexOf(member);
    if (index === this.#current && isEndpointFailure(readFailure(error))) this.#current = (index + 1) % this.#hosts.length;
    if (needsNewToken(error)) await member.forgetToken(token);
  }

  async #send<Reply>(send: SendCall<Reply>, flight: Flight): Promise<Reply> {
    const { isWrite, deadline, stop } = flight;
    let hasNewToken = false;
    for (let tried = 1; ;) {
      const member = this.#member();
      let isSending = false;
      let token: string | undefined;
      try {
        token = await member.token();
        stop.signal.throwIfAborted();
        isSending = true;
        flight.wasSent = true;
        return await member.send(send, token, deadline, stop.signal);
      } catch (error) {
        // A call that was taken back says nothing of the endpoint.
        if (!stop.signal.aborted || !isSending) await this.#report(error, member, token);
        stop.signal.throwIfAborted();
        const failure = toAttuneError(error, member.endpoint, isWrite && isSending);
        if (failure instanceof OutcomeUnknownError) throw failure;
        flight.wasSent = false;
        if (Date.now() >= deadline) throw failure;
        if (isSending && needsNewToken(error) && !hasNewToken) hasNewToken = true;
        else if (wasNotSent(readFailure(error)) && tried < this.#hosts.length) tried++;
        else throw failure;
      }
    }
  }

  #member(): EtcdMember {
    const member = this.#members[this.#current];
    if (!member) throw new UnavailableError('no endpoint of etcd is given');
    return member;
  }
}
