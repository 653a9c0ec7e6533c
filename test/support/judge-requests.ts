import type { Violation } from './judge.ts';
import { headOf, historiesOf, itemAt, readCursor, type TrueBatch, type TrueHistory } from './true-history.ts';

/** A moment by one clock for all: whatever ended before another began happened before it. */
interface Timed {
  readonly begin: number;
  readonly end: number;
  readonly node: string;
}

/** A read of one key that was answered. */
export interface ReadRecord extends Timed {
  readonly key: string;
  /** The position the answer names. */
  readonly cursor: string;
  /** Undefined if there was no such key. */
  readonly item: { readonly version: number; readonly content: string } | undefined;
  /** The position the client sent. */
  readonly minimum?: string;
}

export type WriteOutcome =
  /** `etag` is the cursor of the version; for a deletion, which has none, that of the answer. */
  | { readonly type: 'applied'; readonly etag: string }
  | { readonly type: 'unchanged'; readonly etag: string }
  /** The condition did not hold. */
  | { readonly type: 'refused' }
  /** Certainly not applied. */
  | { readonly type: 'failed' }
  | { readonly type: 'unknown' };

/** What a write asks of the version that is there; 0 is no item. */
export interface Condition {
  readonly text: string;
  readonly holds: (version: number) => boolean;
}

export interface WriteRecord extends Timed {
  readonly key: string;
  /** Undefined for a deletion. */
  readonly content: string | undefined;
  /** A text that the content of no other write to this key holds. */
  readonly mark?: string;
  readonly condition?: Condition;
  readonly outcome: WriteOutcome;
  /** Places in the recording of the history that was current, and its revision, at `begin` and `end`. */
  readonly from: StorePosition;
  readonly to: StorePosition;
}

export interface StorePosition {
  readonly history: number;
  readonly revision: number;
}

export function judgeRequests(
  histories: readonly TrueHistory[],
  reads: readonly ReadRecord[],
  writes: readonly WriteRecord[],
): Violation[] {
  return [
    ...reads.flatMap((read) => [
      ...judgeContent(histories, read),
      ...judgeMinimum(histories, read),
      ...judgeOwnWrites(histories, read, writes),
    ]),
    ...writes.flatMap((write) => judgeWrite(histories, write)),
    ...judgeWinners(writes),
  ];
}

/** A read answers the state of the revision it names. */
function judgeContent(histories: readonly TrueHistory[], { node, key, cursor, item }: ReadRecord): Violation[] {
  const places = historiesOf(histories, cursor);
  if (places.length === 0)
    return [{ guarantee: 'NoSilentLoss', evidence: `a read of ${key} on ${node} names ${cursor}, a position of no history` }];
  const truths = places.map((place) => truthOf(histories, place, readCursor(cursor).revision, key));
  if (truths.some((truth) => truth?.version === item?.version && truth?.content === item?.content)) return [];
  return [
    {
      guarantee: 'Atomic',
      evidence: `${key} on ${node} at ${cursor} is told as ${JSON.stringify(item)}, true is ${JSON.stringify(truths[0])}`,
    },
  ];
}

function judgeMinimum(histories: readonly TrueHistory[], { node, key, cursor, minimum }: ReadRecord): Violation[] {
  if (minimum === undefined) return [];
  const wanted = historiesOf(histories, minimum);
  const isSame = historiesOf(histories, cursor).some((place) => wanted.includes(place));
  if (isSame && readCursor(cursor).revision >= readCursor(minimum).revision) return [];
  return [{ guarantee: 'MonotonicReads', evidence: `a read of ${key} on ${node} from ${minimum} on was answered at ${cursor}` }];
}

function judgeOwnWrites(histories: readonly TrueHistory[], read: ReadRecord, writes: readonly WriteRecord[]): Violation[] {
  const places = historiesOf(histories, read.cursor);
  return writes.flatMap((write): Violation[] => {
    const { outcome, node, key, end } = write;
    if (node !== read.node || key !== read.key || end >= read.begin || (outcome.type !== 'applied' && outcome.type !== 'unchanged'))
      return [];
    const isSame = historiesOf(histories, outcome.etag).some((place) => places.includes(place));
    if (!isSame || readCursor(read.cursor).revision >= readCursor(outcome.etag).revision) return [];
    return [
      {
        guarantee: 'ReadYourWrites',
        evidence: `${key} was acknowledged at ${outcome.etag} on ${node}, a later read there was answered at ${read.cursor}`,
      },
    ];
  });
}

function judgeWrite(histories: readonly TrueHistory[], write: WriteRecord): Violation[] {
  switch (write.outcome.type) {
    case 'applied':
    case 'unchanged':
      return judgeAcknowledged(histories, write, write.outcome);
    case 'refused':
      return [...judgeRefusal(histories, write), ...judgeAbsence(histories, write)];
    case 'failed':
      return judgeAbsence(histories, write);
    case 'unknown':
      return [];
  }
}

function judgeAcknowledged(
  histories: readonly TrueHistory[],
  write: WriteRecord,
  outcome: { readonly type: string; readonly etag: string },
): Violation[] {
  const { key, content, node, condition, from } = write;
  const { revision } = readCursor(outcome.etag);
  const places = historiesOf(histories, outcome.etag);
  // The revisions at which it may have happened: a deletion's own is not told.
  const commits = places.flatMap((place) => {
    const batches = histories[place]?.batches ?? [];
    const isCommit = ({ revision: at, changes }: TrueBatch): boolean =>
      (content === undefined ? at > from.revision && at <= revision : at === revision) &&
      changes.some((change) => change.key === key && change.content === content);
    return batches.filter(isCommit).map((batch) => ({ place, revision: batch.revision }));
  });
  if (commits.length === 0) {
    return [
      {
        guarantee: 'ReadYourWrites',
        evidence: `${key} = ${content} was acknowledged at ${outcome.etag} on ${node}, the store has no such change`,
      },
    ];
  }
  if (!condition) return [];
  const before = commits.map(
    ({ place, revision: at }) => truthOf(histories, place, outcome.type === 'applied' ? at - 1 : at, key)?.version ?? 0,
  );
  if (before.some(condition.holds)) return [];
  return [
    {
      guarantee: 'ConditionalWrite',
      evidence: `${key} was written at ${outcome.etag} on the condition ${condition.text}, it was at ${before.join(' or ')}`,
    },
  ];
}

/** A refusal is right if the condition was false at some moment between question and answer. */
function judgeRefusal(histories: readonly TrueHistory[], { key, condition, from, to, node }: WriteRecord): Violation[] {
  if (from.history !== to.history) return [];
  for (let revision = from.revision; revision <= to.revision; revision++) {
    if (condition && !condition.holds(truthOf(histories, from.history, revision, key)?.version ?? 0)) return [];
  }
  return [
    {
      guarantee: 'ConditionalWrite',
      evidence: `${condition?.text ?? 'no condition'} held for ${key} all the time, yet a write was refused on ${node}`,
    },
  ];
}

/** What was refused, or failed for certain, is nowhere in the store. */
function judgeAbsence(histories: readonly TrueHistory[], { key, mark, node, outcome, from }: WriteRecord): Violation[] {
  if (mark === undefined) return [];
  const found = histories
    .slice(from.history)
    .flatMap(({ batches }) =>
      batches.filter(({ changes }) => changes.some((change) => change.key === key && change.content?.includes(mark))),
    );
  const [first] = found;
  return first
    ? [
        {
          guarantee: 'ConditionalWrite',
          evidence: `${key} = ${mark} was answered as ${outcome.type} on ${node}, yet stands at revision ${first.revision}`,
        },
      ]
    : [];
}

/** Of those who wrote on the same condition, or were told the same version, at most one won. */
function judgeWinners(writes: readonly WriteRecord[]): Violation[] {
  const winners = new Map<string, WriteRecord>();
  return writes.flatMap((write): Violation[] => {
    if (write.outcome.type !== 'applied' || write.content === undefined) return [];
    const name = `${write.key} ${write.outcome.etag}`;
    const other = winners.get(name);
    winners.set(name, write);
    return other
      ? [
          {
            guarantee: 'ConditionalWrite',
            evidence: `${write.key} at ${write.outcome.etag} was acknowledged to two writers (${other.content}, ${write.content})`,
          },
        ]
      : [];
  });
}

function truthOf(histories: readonly TrueHistory[], place: number, revision: number, key: string): ReturnType<typeof itemAt> {
  const history = histories[place];
  return history && itemAt(history, Math.min(revision, headOf(history)), key);
}
