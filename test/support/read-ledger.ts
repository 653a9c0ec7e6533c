/** A request of a client for changes or for the state, as a front saw it. */
export interface ReadRequest {
  readonly kind: 'stream' | 'poll' | 'list';
  /** The position it resumes from. */
  readonly cursor: string | undefined;
}

interface OpenRequest extends ReadRequest {
  /** When another one was begun beside it. */
  overlappedAt: number | undefined;
}

/** A socket that a client has given up may be seen to close this much later than the next one is seen to open. */
const CLOSING_MS = 500;

/** Every request of one client for changes, over all the servers it knows. */
export class ReadLedger {
  readonly requests: ReadRequest[] = [];
  /** Positions of the whole states that were sent to the end, oldest first. */
  readonly snapshots: string[] = [];
  /** How often each fault came to pass. */
  readonly faults = new Map<string, number>();
  readonly #open = new Set<OpenRequest>();
  readonly #listedAt = new Set<string>();
  #overlaps = 0;

  /** Returns what is to be called when the client has closed it, or has its answer. */
  begin(request: ReadRequest): () => void {
    this.requests.push(request);
    const now = performance.now();
    for (const other of this.#open) other.overlappedAt ??= now;
    const open: OpenRequest = { ...request, overlappedAt: undefined };
    this.#open.add(open);
    return () => {
      if (this.#open.delete(open) && isTooLong(open)) this.#overlaps++;
    };
  }

  /** A page of the state was sent: the state is as of the poll that follows from the first page on, which tells what changed meanwhile. */
  addPage(cursor: string): void {
    this.#listedAt.add(cursor);
  }

  /** The answer may be lost on its way, and the same asked again. */
  addPoll(since: string | undefined, cursor: string): void {
    if (since !== undefined && this.#listedAt.has(since) && this.snapshots.at(-1) !== cursor) this.snapshots.push(cursor);
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
