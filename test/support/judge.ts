import { judgeRequests, type ReadRecord, type WriteRecord } from './judge-requests.ts';
import { judgeWatcher, type WatcherRecord } from './judge-watcher.ts';
import { headOf, stateAt, type TrueHistory } from './true-history.ts';

/** The promises of `design/overview.md` section 3 that can be judged from what was recorded. */
export type Guarantee =
  | 'Ordered'
  | 'Unique'
  | 'Atomic'
  | 'Reliable'
  | 'Resumable'
  | 'NoSilentLoss'
  | 'Bookmarkable'
  | 'ReadYourWrites'
  | 'MonotonicReads'
  | 'Converges'
  | 'ConditionalWrite';

export interface Violation {
  readonly guarantee: Guarantee;
  /** Who saw what, and what was true. */
  readonly evidence: string;
}

/** A copy of everything, held by a mirror or an SDK when writes had stopped. */
export interface CopyRecord {
  readonly name: string;
  readonly items: ReadonlyMap<string, { readonly version: number; readonly content: string }>;
}

/** One run of a system, as its recorders saw it. */
export interface Recording {
  /** In the order in which they replaced each other. */
  readonly histories: readonly TrueHistory[];
  readonly watchers?: readonly WatcherRecord[];
  readonly reads?: readonly ReadRecord[];
  readonly writes?: readonly WriteRecord[];
  readonly copies?: readonly CopyRecord[];
}

/** Which guarantees `recording` breaks, with evidence; empty if none. Pure: the same recording is always judged alike. */
export function judge(recording: Recording): readonly Violation[] {
  const { histories, watchers = [], reads = [], writes = [], copies = [] } = recording;
  return [
    ...watchers.flatMap((watcher) => judgeWatcher(histories, watcher)),
    ...judgeRequests(histories, reads, writes),
    ...copies.flatMap((copy) => judgeCopy(histories, copy)),
  ];
}

/** The names alone, each once, sorted. */
export function brokenGuarantees(recording: Recording): readonly Guarantee[] {
  return [...new Set(judge(recording).map(({ guarantee }) => guarantee))].sort();
}

function judgeCopy(histories: readonly TrueHistory[], { name, items }: CopyRecord): Violation[] {
  const history = histories.at(-1);
  if (!history) return [];
  const truth = stateAt(history, headOf(history));
  const wrong = [...new Set([...truth.keys(), ...items.keys()])].filter((key) => {
    const [held, real] = [items.get(key), truth.get(key)];
    return held?.version !== real?.version || held?.content !== real?.content;
  });
  if (wrong.length === 0) return [];
  const shown = wrong
    .slice(0, 5)
    .map((key) => `${key}: holds ${JSON.stringify(items.get(key))}, true is ${JSON.stringify(truth.get(key))}`);
  return [{ guarantee: 'Converges', evidence: `${name} differs from the store in ${wrong.length} keys: ${shown.join('; ')}` }];
}
