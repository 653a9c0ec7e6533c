import type { Guarantee, Violation } from './judge.ts';
import {
  changesAt,
  headOf,
  historiesOf,
  isWanted,
  readCursor,
  revisionsBetween,
  stateAt,
  type TrueHistory,
  type TrueItem,
  type WatchFilter,
} from './true-history.ts';

export interface SeenItem {
  readonly key: string;
  readonly version: number;
  readonly content: string;
}

export interface SeenChange {
  readonly type: 'created' | 'updated' | 'deleted';
  readonly key: string;
  readonly version: number;
  /** Undefined for a deletion. */
  readonly content: string | undefined;
}

/** What a watcher did and what it was told, in order. */
export type WatcherEvent =
  /** `isHeld`: the node is known to hold everything after `since`, so that a reset would be one too many. */
  | { readonly type: 'connect'; readonly since?: string; readonly snapshot?: boolean; readonly isHeld?: boolean }
  | { readonly type: 'snapshot'; readonly revision: number; readonly items: readonly SeenItem[] }
  | { readonly type: 'synced'; readonly id: string; readonly count: number }
  /** A poll names one position for all it tells: `id` is left out. */
  | {
      readonly type: 'change';
      readonly id?: string;
      readonly revision: number;
      readonly changes: readonly SeenChange[];
      readonly gap?: boolean;
    }
  | { readonly type: 'bookmark'; readonly id: string }
  | { readonly type: 'reset'; readonly reason: string }
  | { readonly type: 'status'; readonly state: string }
  | { readonly type: 'goaway' | 'cut' };

export interface WatcherRecord {
  readonly name: string;
  readonly filter: WatchFilter;
  readonly events: readonly WatcherEvent[];
  /** True if it was connected, and was given its time, after writes had stopped. */
  readonly isSettled: boolean;
}

/** What happened between two moments at which the client's copy began anew. */
type Stretch = readonly WatcherEvent[];

export function judgeWatcher(histories: readonly TrueHistory[], watcher: WatcherRecord): Violation[] {
  const stretches = stretchesOf(watcher.events);
  const found = [
    ...judgeNeedlessResets(watcher),
    ...stretches.flatMap((stretch, index) =>
      judgeStretch(histories, watcher, stretch, watcher.isSettled && index === stretches.length - 1),
    ),
  ];
  return found.map(({ guarantee, evidence }) => ({ guarantee, evidence: `${watcher.name}: ${evidence}` }));
}

function stretchesOf(events: readonly WatcherEvent[]): Stretch[] {
  const stretches: WatcherEvent[][] = [[]];
  for (const event of events) {
    if (event.type === 'reset' || (event.type === 'connect' && event.since === undefined)) stretches.push([]);
    stretches.at(-1)?.push(event);
  }
  return stretches.filter((stretch) => stretch.length > 0);
}

function judgeNeedlessResets({ events }: WatcherRecord): Violation[] {
  return events.flatMap((event, index): Violation[] => {
    if (event.type !== 'connect' || !event.isHeld) return [];
    const answer = events.slice(index + 1).find(({ type }) => type !== 'status');
    return answer?.type === 'reset'
      ? [{ guarantee: 'Resumable', evidence: `${event.since} was reset (${answer.reason}), though the node held what came after it` }]
      : [];
  });
}

function judgeStretch(histories: readonly TrueHistory[], { filter }: WatcherRecord, stretch: Stretch, isSettled: boolean): Violation[] {
  let candidates = histories.map((_history, index) => index);
  const hasAnswer = stretch.some(({ type }) => type !== 'connect' && type !== 'cut' && type !== 'status' && type !== 'goaway');
  if (!hasAnswer && !isSettled) return [];
  for (const event of stretch) {
    const id = event.type === 'connect' ? event.since : 'id' in event ? event.id : undefined;
    if (id === undefined) continue;
    const places = historiesOf(histories, id);
    const left = candidates.filter((index) => places.includes(index));
    if (left.length === 0) {
      return [{ guarantee: 'NoSilentLoss', evidence: `was taken to ${id} (${event.type}), of another history, without a reset` }];
    }
    candidates = left;
  }
  // One that lies in a part several histories share is judged by the one that explains it best.
  const verdicts = candidates.map((index) => {
    const history = histories[index];
    return history ? new StretchJudge(history, filter).judge(stretch, isSettled, index === histories.length - 1) : [];
  });
  return verdicts.sort((a, b) => a.length - b.length)[0] ?? [];
}

/** Follows one client through one history: a position, a copy, and what it is owed. */
class StretchJudge {
  readonly #history: TrueHistory;
  readonly #filter: WatchFilter;
  readonly #violations: Violation[] = [];
  /** Skipped revisions that may still come, with the promise that is broken if they never do. */
  readonly #owed = new Map<number, Guarantee>();
  #position: number | undefined;
  /** The position is the one the client sent: nothing has come since. */
  #isResuming = false;
  #bookmarked = -1;
  #lastFrame: { readonly revision: number; readonly keys: ReadonlySet<string> } | undefined;
  #copy = new Map<string, TrueItem>();
  #snapshot: { readonly revisions: Set<number>; readonly items: Map<string, TrueItem> } | undefined;
  #expectsSnapshot = false;

  constructor(history: TrueHistory, filter: WatchFilter) {
    this.#history = history;
    this.#filter = filter;
  }

  judge(stretch: Stretch, isSettled: boolean, isLastHistory: boolean): Violation[] {
    for (const event of stretch) this.#take(event);
    for (const [revision, guarantee] of this.#owed) this.#blame(guarantee, `revision ${revision} never came`);
    if (isSettled) this.#requireEnd(isLastHistory);
    return this.#violations;
  }

  #take(event: WatcherEvent): void {
    switch (event.type) {
      case 'connect':
        this.#begin(event.since === undefined ? undefined : readCursor(event.since).revision, event.snapshot === true);
        break;
      case 'reset':
        this.#begin(undefined, true);
        break;
      case 'snapshot':
        this.#takeSnapshot(event.revision, event.items);
        break;
      case 'synced':
        this.#takeSynced(readCursor(event.id).revision, event.count);
        break;
      case 'bookmark':
        this.#takeBookmark(readCursor(event.id).revision);
        break;
      case 'change':
        this.#takeChange(event.revision, event.changes, event.gap === true);
        break;
      case 'cut':
      case 'goaway':
      case 'status':
        break;
    }
  }

  #begin(position: number | undefined, wantsSnapshot: boolean): void {
    this.#position = position;
    this.#isResuming = position !== undefined;
    this.#copy = position === undefined ? new Map() : stateAt(this.#history, position, this.#filter);
    this.#bookmarked = -1;
    this.#lastFrame = undefined;
    this.#expectsSnapshot = position === undefined && wantsSnapshot;
    this.#snapshot = undefined;
  }

  #takeSnapshot(revision: number, items: readonly SeenItem[]): void {
    if (!this.#expectsSnapshot) this.#blame('Unique', `a snapshot at ${revision} came though the position held`);
    this.#snapshot ??= { revisions: new Set(), items: new Map() };
    this.#snapshot.revisions.add(revision);
    for (const { key, version, content } of items) {
      if (this.#snapshot.items.has(key)) this.#blame('Unique', `${key} came twice in one snapshot`);
      this.#snapshot.items.set(key, { version, content });
    }
  }

  #takeSynced(revision: number, count: number): void {
    const truth = stateAt(this.#history, revision, this.#filter);
    if (this.#expectsSnapshot) {
      this.#requireSnapshot(revision, count, truth);
      this.#expectsSnapshot = false;
      this.#snapshot = undefined;
    } else if (this.#position !== undefined) {
      if (revision < this.#position) this.#blame('MonotonicReads', `synced at ${revision}, below the position ${this.#position}`);
      this.#owe(this.#position, revision + 1);
    }
    this.#bookmarked = revision;
    this.#moveTo(revision, truth);
  }

  #requireSnapshot(revision: number, count: number, truth: ReadonlyMap<string, TrueItem>): void {
    if (!this.#snapshot && truth.size > 0) {
      this.#blame('NoSilentLoss', `synced at ${revision} without the snapshot of ${truth.size} items`);
      return;
    }
    const { revisions, items } = this.#snapshot ?? { revisions: new Set<number>(), items: new Map<string, TrueItem>() };
    if ([...revisions].some((part) => part !== revision)) {
      this.#blame('Atomic', `a snapshot in parts of revisions ${[...revisions].join(', ')}, synced at ${revision}`);
    }
    const wrong = differingKeys(items, truth);
    if (wrong.length > 0) this.#blame('Atomic', `the snapshot at ${revision} is not the state of that revision: ${wrong.join(', ')}`);
    if (count !== items.size) this.#blame('Atomic', `synced counts ${count} items, ${items.size} came`);
  }

  #takeBookmark(revision: number): void {
    if (this.#position === undefined) return this.#blame('NoSilentLoss', `a bookmark at ${revision} before synced`);
    if (revision < this.#position) return this.#blame('Ordered', `a bookmark at ${revision} after ${this.#position}`);
    this.#owe(this.#position, revision + 1);
    this.#bookmarked = revision;
    this.#moveTo(revision, stateAt(this.#history, revision, this.#filter));
  }

  #takeChange(revision: number, changes: readonly SeenChange[], isGap: boolean): void {
    if (this.#position === undefined) {
      this.#blame('NoSilentLoss', `changes of ${revision} came before synced`);
      this.#moveTo(revision - 1, stateAt(this.#history, revision - 1, this.#filter));
      this.#isResuming = false;
    }
    const position = this.#position ?? revision - 1;
    if (revision <= position) return this.#takeOld(revision, position, changes);
    if (isGap) this.#requireGap(revision, position, changes);
    else {
      this.#owe(position, revision);
      this.#requireBatch(revision, changes);
    }
    this.#moveTo(revision, stateAt(this.#history, revision, this.#filter));
    this.#lastFrame = { revision, keys: new Set(changes.map(({ key }) => key)) };
  }

  /** Changes at or below the position: late, repeated, or the rest of a revision that was split. */
  #takeOld(revision: number, position: number, changes: readonly SeenChange[]): void {
    if (this.#owed.delete(revision)) {
      if (revision <= this.#bookmarked) this.#blame('Bookmarkable', `revision ${revision} came after the bookmark ${this.#bookmarked}`);
      else this.#blame('Ordered', `revision ${revision} came after ${position}`);
      return;
    }
    const lastFrame = this.#lastFrame;
    if (lastFrame?.revision === revision && changes.every(({ key }) => !lastFrame.keys.has(key))) {
      this.#blame('Atomic', `revision ${revision} came in two frames`);
      return;
    }
    this.#blame('Unique', `revision ${revision} came again (${changes.map(({ key }) => key).join(', ')}) at position ${position}`);
    if (this.#isResuming) this.#blame('Resumable', `revision ${revision} came again after a resume from ${position}`);
    else if (revision < position) this.#blame('Ordered', `revision ${revision} came after ${position}`);
    if (revision <= this.#bookmarked) this.#blame('Bookmarkable', `revision ${revision} came after the bookmark ${this.#bookmarked}`);
  }

  /** All that `filter` wants of one revision, each as it truly was. */
  #requireBatch(revision: number, changes: readonly SeenChange[]): void {
    const truth = new Map(changesAt(this.#history, revision, this.#filter).map((change) => [change.key, change]));
    const seen = new Set<string>();
    for (const change of changes) {
      const { key, version, type, content } = change;
      if (seen.has(key)) this.#blame('Unique', `${key} came twice in revision ${revision}`);
      seen.add(key);
      const real = truth.get(key);
      if (version !== revision) this.#blame('Atomic', `${key} of version ${version} came in the frame of revision ${revision}`);
      else if (!real)
        this.#blame('Reliable', `${key} did not change at ${revision}${isWanted(this.#filter, key) ? '' : ' and is not of the filter'}`);
      else if (real.content !== content) this.#blame('Reliable', `${key} at ${revision} is told as ${content}, true is ${real.content}`);
      const rightType =
        content === undefined
          ? 'deleted'
          : stateAt(this.#history, revision - 1, { keys: [key], prefixes: [] }).has(key)
            ? 'updated'
            : 'created';
      if (real && version === revision && type !== rightType)
        this.#blame('Reliable', `${key} at ${revision} is told as ${type}, it was ${rightType}`);
    }
    const missing = [...truth.keys()].filter((key) => !seen.has(key));
    if (missing.length > 0) this.#blame('Atomic', `the frame of revision ${revision} lacks ${missing.join(', ')}`);
  }

  /** Intermediate versions may be missing, the outcome may not. */
  #requireGap(revision: number, position: number, changes: readonly SeenChange[]): void {
    const copy = new Map(this.#copy);
    for (const { key, version, content } of changes) {
      const known = copy.get(key)?.version ?? -1;
      const isRepeat = version <= Math.max(known, content === undefined ? -1 : position);
      // Of a deletion a store may not tell when it was: a repeated one harms nobody.
      if (isRepeat && !(content === undefined && !copy.has(key))) {
        this.#blame('Unique', `${key} of version ${version} came again in the gap to ${revision}`);
        if (this.#isResuming) this.#blame('Resumable', `${key} of version ${version} came again after a resume from ${position}`);
      }
      // A receiver ignores versions that are not above its own.
      if (version <= known) continue;
      if (content === undefined) copy.delete(key);
      else copy.set(key, { version, content });
    }
    const wrong = differingKeys(copy, stateAt(this.#history, revision, this.#filter));
    if (wrong.length > 0)
      this.#blame(this.#isResuming ? 'Resumable' : 'Reliable', `after the gap to ${revision} the copy is wrong in ${wrong.join(', ')}`);
  }

  #requireEnd(isLastHistory: boolean): void {
    const head = headOf(this.#history);
    if (!isLastHistory) this.#blame('Converges', 'is still in a history that has ended');
    else if (this.#position === undefined) this.#blame('Converges', 'was never synced');
    else {
      const missing = revisionsBetween(this.#history, this.#position, head + 1, this.#filter);
      if (missing.length > 0) this.#blame('Converges', `stands at ${this.#position} of ${head} and lacks ${missing.join(', ')}`);
    }
  }

  #owe(after: number, before: number): void {
    for (const revision of revisionsBetween(this.#history, after, before, this.#filter)) {
      this.#owed.set(revision, this.#isResuming ? 'Resumable' : 'Reliable');
    }
  }

  #moveTo(revision: number, truth: Map<string, TrueItem>): void {
    this.#position = Math.max(revision, this.#position ?? revision);
    this.#copy = truth;
    this.#isResuming = false;
  }

  #blame(guarantee: Guarantee, evidence: string): void {
    this.#violations.push({ guarantee, evidence });
  }
}

function differingKeys(held: ReadonlyMap<string, TrueItem>, truth: ReadonlyMap<string, TrueItem>): string[] {
  return [...new Set([...held.keys(), ...truth.keys()])]
    .filter((key) => held.get(key)?.version !== truth.get(key)?.version || held.get(key)?.content !== truth.get(key)?.content)
    .map((key) => `${key} (has ${JSON.stringify(held.get(key))}, true is ${JSON.stringify(truth.get(key))})`);
}
