import type { Violation } from './judge.ts';
import { headOf, historiesOf, itemAt, readCursor, type TrueHistory } from './true-history.ts';

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
  /** `etag` is the cursor of the version; for a deletion whatever names its epoch. */
  | { readonly type: 'applied'; readonly etag: string }
  | { readonly type: 'unchanged'; readonly etag: string }
  /** The condition did not hold. */
  | { readonly type: 'refused' }
  /** Certainly not applied. */
  | { readonly type: 'failed' }
  | { readonly type: 'unknown' };

export interface WriteRecord extends Timed {
  readonly key: string;
  /** Undefined for a deletion. */
  readonly content: string | undefined;
  /** True if nobody else ever writes this content to this key. */
  readonly isUnique?: boolean;
  /** The version it asks to be there; 0 for no item. */
  readonly ifVersion?: number;
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
  const { key, content, node, ifVersion } = write;
  const { revision } = readCursor(outcome.etag);
  const places = historiesOf(histories, outcome.etag);
  const isThere = places.some((place) => {
    const truth = truthOf(histories, place, revision, key);
    return content === undefined ? truth === undefined : truth?.content === content && truth.version === revision;
  });
  if (!isThere)
    return [
      {
        guarantee: 'ReadYourWrites',
        evidence: `${key} = ${content} was acknowledged at ${outcome.etag} on ${node}, the store has no such change`,
      },
    ];
  if (ifVersion === undefined) return [];
  const before = places.map((place) => truthOf(histories, place, outcome.type === 'applied' ? revision - 1 : revision, key)?.version ?? 0);
  if (before.includes(ifVersion)) return [];
  return [
    {
      guarantee: 'ConditionalWrite',
      evidence: `${key} was written at ${outcome.etag} on the condition of version ${ifVersion}, it was at ${before.join(' or ')}`,
    },
  ];
}

/** A refusal is right if the condition was false at some moment between question and answer. */
function judgeRefusal(histories: readonly TrueHistory[], { key, ifVersion, from, to, node }: WriteRecord): Violation[] {
  if (ifVersion === undefined || from.history !== to.history) return [];
  for (let revision = from.revision; revision <= to.revision; revision++) {
    if ((truthOf(histories, from.history, revision, key)?.version ?? 0) !== ifVersion) return [];
  }
  return [
    {
      guarantee: 'ConditionalWrite',
      evidence: `${key} was at ${ifVersion} all the time, yet a write on that condition was refused on ${node}`,
    },
  ];
}

/** What was refused, or failed for certain, is nowhere in the store. */
function judgeAbsence(histories: readonly TrueHistory[], { key, content, isUnique, node, outcome, from }: WriteRecord): Violation[] {
  if (!isUnique || content === undefined) return [];
  const found = histories
    .slice(from.history)
    .flatMap(({ batches }) => batches.filter(({ changes }) => changes.some((change) => change.key === key && change.content === content)));
  const [first] = found;
  return first
    ? [
        {
          guarantee: 'ConditionalWrite',
          evidence: `${key} = ${content} was answered as ${outcome.type} on ${node}, yet stands at revision ${first.revision}`,
        },
      ]
    : [];
}

/** Of those who wrote on the same condition, or were told the same version, at most one won. */
function judgeWinners(writes: readonly WriteRecord[]): Violation[] {
  const winners = new Map<string, WriteRecord>();
  return writes.flatMap((write): Violation[] => {
    if (write.outcome.type !== 'applied') return [];
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
