import { queryOf, type Filter } from './streams-filters.ts';
import { StreamReader } from './streams-reader.ts';
import { describeEvent, type ChangeEvent } from './streams-truth.ts';

/** One watcher, over however many connections: cut in the middle it resumes with its position, as a browser does. */
export class Follower {
  readonly filter: Filter;
  /** What each `change` frame told. */
  readonly frames: (readonly string[])[] = [];
  /** What should not have come: resets, goaways, ends, ids that disagree with their frame. */
  readonly surprises: string[] = [];
  isSynced = false;
  readonly #port: number;
  #reader: StreamReader;
  #framesUntilCut: number | undefined;

  constructor(port: number, filter: Filter, framesUntilCut?: number) {
    this.#port = port;
    this.filter = filter;
    this.#framesUntilCut = framesUntilCut;
    this.#reader = this.#open(undefined);
  }

  close(): void {
    this.#reader.close();
  }

  #open(lastEventId: string | undefined): StreamReader {
    const reader: StreamReader = new StreamReader(this.#port, {
      query: `?${queryOf(this.filter)}`,
      ...(lastEventId !== undefined && { lastEventId }),
      onEvent: ({ event, id, data }) => {
        if (event === 'synced') this.isSynced = true;
        else if (event === 'change') this.#take(id, data);
        else if (event !== 'bookmark') this.surprises.push(`${event} ${data}`);
      },
      onEnd: () => {
        if (reader === this.#reader && !reader.isClosedHere) this.surprises.push('the stream ended');
      },
    });
    return reader;
  }

  #take(id: string | undefined, data: string): void {
    const { revision, changes } = JSON.parse(data) as { readonly revision: number; readonly changes: readonly ChangeEvent[] };
    if (!id?.endsWith(`-${revision}`)) this.surprises.push(`revision ${revision} under the id ${id}`);
    this.frames.push(changes.map(describeEvent));
    if (this.#framesUntilCut === undefined || --this.#framesUntilCut > 0) return;
    this.#framesUntilCut = undefined;
    const cut = this.#reader;
    this.#reader = this.#open(cut.lastEventId);
    cut.reset();
  }
}
