/** A request of a client for changes or for the state, as a front saw it. */
export interface ReadRequest {
  readonly kind: 'stream' | 'poll' | 'list';
  /** The position it resumes from. */
  readonly cursor: string | undefined;
  /** A poll that is to be answered at once. */
  readonly isImmediate?: boolean;
}

interface OpenRequest extends ReadRequest {
  /** When another one was begun beside it. */
  overlappedAt: number | undefined;
}

/** A socket that a client has given up may be seen to close this much later than the next one is seen to open. */
const CLOSING_MS = 500;

/** Answers that are lost make a client ask the same again; not so often. */
const MAX_REPEATS = 5;

/** Every request of one client for changes, over all the servers it knows. */
export class ReadLedger {
  readonly requests: ReadRequest[] = [];
  /**
   * Positions of the whole states that were sent to the end, oldest first. The client need not have got them: an answer may be lost on the
   * last stretch.
   */
  readonly snapshots: string[] = [];
  /** How often each fault came to pass. */
  readonly faults = new Map<string, number>();
  readonly #open = new Set<OpenRequest>();
  /** Polls that complete a state: it is as of the one that follows the last page, and tells what changed since the first. */
  readonly #completing = new Set<ReadRequest>();
  readonly #refused = new Set<ReadRequest>();
  /** How often a poll from a position was answered with a later one. */
  readonly #advanced = new Map<string, number>();
  #overlaps = 0;

  /** Returns what is to be called when the client has closed it, or has its answer. */
  begin(request: ReadRequest): () => void {
    const previous = this.requests.at(-1);
    // The same asked once more replaces an answer that was lost.
    const isAgain = previous !== undefined && this.#completing.has(previous) && previous.cursor === request.cursor;
    if (request.kind === 'poll' && request.isImmediate && (previous?.kind === 'list' || isAgain)) this.#completing.add(request);
    this.requests.push(request);
    const now = performance.now();
    for (const other of this.#open) other.overlappedAt ??= now;
    const open: OpenRequest = { ...request, overlappedAt: undefined };
    this.#open.add(open);
    return () => {
      if (this.#open.delete(open) && isTooLong(open)) this.#overlaps++;
    };
  }

  /** `poll` was answered with `cursor`. */
  addPoll(poll: ReadRequest, cursor: string): void {
    if (this.#completing.has(poll)) this.addState(cursor);
    if (poll.cursor !== undefined && poll.cursor !== cursor) this.#advanced.set(poll.cursor, (this.#advanced.get(poll.cursor) ?? 0) + 1);
  }

  /** The position of `poll` is of no use. */
  addRefusal(poll: ReadRequest): void {
    this.#refused.add(poll);
  }

  /** The last part of a whole state was sent. */
  addState(cursor: string): void {
    this.snapshots.push(cursor);
  }

  /** Positions that were resumed from, oldest first; of a state that is not complete there is none yet. */
  get cursors(): readonly string[] {
    return this.requests.filter((request) => !this.#completing.has(request)).flatMap(({ cursor }) => cursor ?? []);
  }

  /** Requests that did not go on from where the client was, in words. */
  get relapses(): readonly string[] {
    const relapses = [...this.#advanced]
      .filter(([, times]) => times > MAX_REPEATS)
      .map(([cursor, times]) => `${times} polls from ${cursor} were answered with a later position`);
    let position: string | undefined;
    let isRefused = false;
    for (const [index, request] of this.requests.entries()) {
      const previous = this.requests[index - 1];
      // Pages, one after the other, begin where a poll was told that its position is of no use; a stream that was given up before it may arrive
      // in between.
      const isListing = previous?.kind === 'list' || (previous !== undefined && this.#completing.has(previous));
      const isAnew = request.cursor === undefined && !(request.kind === 'list' && (isListing || isRefused));
      if (isAnew && position !== undefined) relapses.push(`request ${index} asked for the whole state, the client was at ${position}`);
      if (!this.#completing.has(request)) position = request.cursor ?? position;
      if (request.kind === 'poll') isRefused = this.#refused.has(request);
    }
    return relapses;
  }

  /** Requests that were open beside a newer one for longer than closing takes. */
  get overlaps(): number {
    return this.#overlaps + [...this.#open].filter(isTooLong).length;
  }

  count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }
}

const isTooLong = ({ overlappedAt }: OpenRequest): boolean => overlappedAt !== undefined && performance.now() - overlappedAt > CLOSING_MS;
