import { compareBytes } from '../../src/core/byte-order.ts';
import {
  changesAt,
  headOf,
  historiesOf,
  readCursor,
  revisionsBetween,
  stateAt,
  type TrueHistory,
  type TrueItem,
  type WatchFilter,
} from './true-history.ts';

/** One call of a listener. */
export interface Heard {
  /** Calls of one batch came one after the other, with nothing in between. */
  readonly batch: number;
  readonly type: 'created' | 'updated' | 'deleted';
  readonly key: string;
  readonly version: number;
  /** Values as JSON text; `null` for an absent key. */
  readonly oldValue: string;
  readonly newValue: string;
  /** The new item, as {@link formatContent} tells it; undefined for a deletion. */
  readonly content: string | undefined;
  /** What `get` answered before the first call of the batch, during that, and during this one; undefined for an absent key. */
  readonly readBefore: string | undefined;
  readonly readFirst: string | undefined;
  readonly readNow: string | undefined;
  /** The override that covered the key at the time; undefined for none. */
  readonly override?: string | undefined;
}

/** What a client did and heard, from before its start until everything had healed. */
export interface ClientRecord {
  readonly filter: WatchFilter;
  readonly heard: readonly Heard[];
  /** Positions of the whole states that it may have taken over, oldest first; the first one it began with. */
  readonly snapshots: readonly string[];
  /** Positions it asked to resume from, oldest first. */
  readonly cursors: readonly string[];
  /** Versions that its own writes were answered with. */
  readonly ownVersions: ReadonlySet<number>;
  /** Values that `get` answers at the end, as JSON text. */
  readonly values: ReadonlyMap<string, string>;
  /** Values of an operator that cover the server's at the end, as JSON text. */
  readonly overrides: ReadonlyMap<string, string>;
  /** Requests that did not go on from where it was, in words. */
  readonly relapses: readonly string[];
  /** Requests for changes that were open beside a newer one. */
  readonly overlaps: number;
}

export type ClientGuarantee =
  | 'Converges'
  | 'Increasing'
  | 'Complete'
  | 'Explained'
  | 'OldValue'
  | 'ReadsNew'
  | 'Forward'
  | 'OneConnection'
  | 'Overridden';

/** The one key that an operator may cover. What it hides can be explained by no history, so it is judged apart from all others. */
export const OVERRIDDEN = 'a/covered';

export interface ClientViolation {
  readonly guarantee: ClientGuarantee;
  readonly what: string;
}

/**
 * Names every promise of the SDK that a client broke. `Explained` is the strictest: each batch is either exactly the true changes that follow
 * what the client had, none missing, or exactly the difference between that and a whole state it was sent. `Complete`: of each key the last
 * call told what it reads, and where no second state was ever sent, its calls are its true history.
 */
export function judgeClient(all: readonly TrueHistory[], whole: ClientRecord): readonly ClientViolation[] {
  const violations: ClientViolation[] = [];
  const blame = (guarantee: ClientGuarantee, what: string): void => void violations.push({ guarantee, what });
  judgeValues(all, whole, blame);
  judgeCalls(all, whole, blame);
  judgeOverridden(whole, blame);
  const histories = all.map(withoutOverridden);
  const record = { ...whole, heard: whole.heard.filter(({ key }) => key !== OVERRIDDEN) };
  judgeConnections(histories, record, blame);
  const isOneState = record.snapshots.length === 1;
  if (histories.length === 1 && isOneState && record.ownVersions.size === 0) judgeCompleteness(histories, record, blame);
  judgeExplanation(histories, record, blame);
  return violations;
}

type Blame = (guarantee: ClientGuarantee, what: string) => void;

export function valueOfContent(content: string): string {
  return JSON.stringify((JSON.parse(content) as readonly unknown[])[0]);
}

const withoutOverridden = ({ chains, batches }: TrueHistory): TrueHistory => ({
  chains,
  batches: batches.map(({ revision, changes }) => ({ revision, changes: changes.filter(({ key }) => key !== OVERRIDDEN) })),
});

/** While a key is covered nothing is heard of it but that it was covered. */
function judgeOverridden({ heard }: ClientRecord, blame: Blame): void {
  for (const { type, key, version, oldValue, newValue, override } of heard) {
    if (override === undefined) continue;
    const at = `${type} ${key} at ${version}`;
    if (newValue !== override) blame('Overridden', `${at} told ${newValue}, covered by ${override}`);
    else if (oldValue === newValue) blame('Overridden', `${at} was told though ${override} covered it already`);
  }
}

function judgeValues(histories: readonly TrueHistory[], { filter, values, overrides }: ClientRecord, blame: Blame): void {
  const history = histories.at(-1);
  if (!history) return;
  const truth = stateAt(history, headOf(history), filter);
  for (const key of new Set([...truth.keys(), ...values.keys(), ...overrides.keys()])) {
    const item = truth.get(key);
    const value = overrides.get(key) ?? (item && valueOfContent(item.content));
    if (values.get(key) !== value) blame('Converges', `${key} reads ${values.get(key)}, true is ${value}`);
  }
}

function judgeCalls(histories: readonly TrueHistory[], { heard, values }: ClientRecord, blame: Blame): void {
  const shown = new Map<string, string>();
  const versions = new Map<string, number>();
  const last = new Map<string, Heard>();
  for (const call of heard) last.set(`${call.batch} ${call.key}`, call);
  for (const [index, call] of heard.entries()) {
    const { key, version, batch, oldValue, newValue, type } = call;
    const at = `call ${index}, ${type} ${key} at ${version}`;
    const known = versions.get(key) ?? 0;
    if (histories.length === 1 && version <= known && key !== OVERRIDDEN) blame('Increasing', `${at} came after ${known}`);
    versions.set(key, version);
    if (oldValue !== (shown.get(key) ?? 'null')) blame('OldValue', `${at} replaced ${oldValue}, shown was ${shown.get(key)}`);
    const isFirst = heard.findIndex((one) => one.batch === batch && one.key === key) === index;
    if (isFirst && oldValue !== (call.readBefore ?? 'null'))
      blame('OldValue', `${at} replaced ${oldValue}, get answered ${call.readBefore}`);
    if (type === 'deleted') shown.delete(key);
    else shown.set(key, newValue);
    const final = last.get(`${batch} ${key}`) ?? call;
    const expected = final.type === 'deleted' ? undefined : final.newValue;
    for (const read of [call.readFirst, call.readNow]) {
      if (read !== expected) blame('ReadsNew', `for ${at} get answered ${read}, the batch ends with ${expected}`);
    }
  }
  for (const key of new Set([...shown.keys(), ...values.keys()])) {
    if (shown.get(key) !== values.get(key)) blame('Complete', `${key} was last told as ${shown.get(key)}, it reads ${values.get(key)}`);
  }
}

function judgeConnections(histories: readonly TrueHistory[], { cursors, overlaps, relapses }: ClientRecord, blame: Blame): void {
  if (overlaps > 0) blame('OneConnection', `${overlaps} requests for changes were open beside a newer one`);
  for (const relapse of relapses) blame('Forward', relapse);
  const reached = new Map<string, number>();
  for (const [index, cursor] of cursors.entries()) {
    const { epoch, revision } = readCursor(cursor);
    const before = reached.get(epoch) ?? 0;
    // A store that was put back shares the links of its epoch up to where it was put back.
    if (histories.length === 1 && revision < before)
      blame('Forward', `request ${index} resumed from ${cursor}, one before it from ${epoch}-${before}`);
    reached.set(epoch, Math.max(before, revision));
  }
}

function judgeCompleteness(histories: readonly TrueHistory[], { filter, heard, snapshots }: ClientRecord, blame: Blame): void {
  const [history] = histories;
  if (!history) return;
  const { revision: begin } = readCursor(snapshots[0] ?? '');
  const truth = new Map<string, string[]>();
  const told = new Map<string, string[]>();
  const note = (lines: Map<string, string[]>, key: string, line: string): void => void lines.set(key, [...(lines.get(key) ?? []), line]);
  for (const revision of revisionsBetween(history, begin, Infinity, filter)) {
    for (const { key, content } of changesAt(history, revision, filter)) note(truth, key, `${revision} ${content}`);
  }
  for (const { key, version, content } of heard) if (version > begin) note(told, key, `${version} ${content}`);
  for (const key of new Set([...truth.keys(), ...told.keys()])) {
    const [real, seen] = [truth.get(key) ?? [], told.get(key) ?? []];
    const at = real.findIndex((line, index) => line !== seen[index]);
    if (at >= 0 || real.length !== seen.length) {
      const place = at >= 0 ? at : real.length;
      blame('Complete', `change ${place} of ${key} was told as ${seen[place]}, true is ${real[place]} (${seen.length} of ${real.length})`);
    }
  }
}

/** What a client may know, as far as it can be told from outside. */
interface Knowledge {
  /** The history its position is in; undefined before the first state. */
  readonly history: TrueHistory | undefined;
  readonly revision: number;
  readonly items: ReadonlyMap<string, TrueItem>;
  /** Writes of its own that it had from their answers, before the stream told of them. */
  readonly ahead: ReadonlyMap<string, Ahead>;
  /** States before this one are behind it. */
  readonly next: number;
}

interface Ahead {
  readonly version: number;
  /** What the stream said of the key so far: what it is again if the write turns out to be lost. */
  readonly told: TrueItem | undefined;
}

const NOTHING: Knowledge = { history: undefined, revision: 0, items: new Map(), ahead: new Map(), next: 0 };

/**
 * Follows everything a client may know at once: histories that share a position, and states of which it is open whether they came
 * through, cannot be told apart before what is heard next. What nothing of it explains is wrong.
 */
function judgeExplanation(histories: readonly TrueHistory[], record: ClientRecord, blame: Blame): void {
  const batches = new Map<number, Heard[]>();
  for (const call of record.heard) batches.set(call.batch, [...(batches.get(call.batch) ?? []), call]);
  let possible: readonly Knowledge[] = [NOTHING];
  const positions = (): string => [...new Set(possible.map(({ revision }) => revision))].join(' or ');
  for (const batch of batches.values()) {
    const known = withSilentStates(histories, record, possible);
    const after = (calls: readonly Heard[]): readonly Knowledge[] =>
      known.flatMap((knowledge) => [
        ...follow(knowledge, calls, record),
        ...takeOwn(histories, knowledge, calls, record),
        ...adopt(histories, record, knowledge).flatMap(({ knowledge: adopted, difference }) =>
          sameCalls(difference, calls) ? [adopted] : [],
        ),
      ]);
    // A frame, or a state, may show as well that writes were lost.
    const withLost = batch.flatMap((_, at) =>
      (at === 0 ? known : after(batch.slice(0, at))).flatMap((knowledge) => lose(knowledge, batch.slice(at), record)),
    );
    const next = [...after(batch), ...(histories.length > 1 ? withLost : [])];
    if (next.length === 0) {
      const calls = batch.map(({ type, key, version }) => `${type} ${key} at ${version}`).join(', ');
      blame('Explained', `${calls} neither follows revision ${positions()} nor is the difference to a state that was sent`);
      return;
    }
    possible = unique(histories, next);
  }
  const head = headOf(histories.at(-1) ?? { chains: [], batches: [] });
  const isAtEnd = ({ history, ...knowledge }: Knowledge): boolean =>
    history === histories.at(-1) && trueCalls({ history, ...knowledge }, head, record).calls.length === 0;
  if (!withSilentStates(histories, record, possible).some(isAtEnd))
    blame('Explained', `what it heard ends with revision ${positions()}, the history with ${head}`);
}

const nameOf = (histories: readonly TrueHistory[], { history, revision, ahead, next }: Knowledge): string =>
  JSON.stringify([
    history ? histories.indexOf(history) : -1,
    revision,
    [...ahead].toSorted(([one], [other]) => compareBytes(one, other)),
    next,
  ]);

function unique(histories: readonly TrueHistory[], possible: readonly Knowledge[]): readonly Knowledge[] {
  return [...new Map(possible.map((knowledge) => [nameOf(histories, knowledge), knowledge])).values()];
}

/** And what it knows if it took over states, in their order, or changes, that brought nothing to tell. */
function withSilentStates(histories: readonly TrueHistory[], record: ClientRecord, possible: readonly Knowledge[]): readonly Knowledge[] {
  const all = new Map(possible.map((knowledge) => [nameOf(histories, knowledge), knowledge]));
  // Grows while it is walked through.
  for (const knowledge of all.values()) {
    for (const { knowledge: adopted, difference } of adopt(histories, record, knowledge)) {
      if (difference.length === 0) all.set(nameOf(histories, adopted), adopted);
    }
    const further = followInSilence(knowledge, record);
    if (further) all.set(nameOf(histories, further), further);
  }
  return [...all.values()];
}

interface Call {
  readonly type: Heard['type'];
  readonly key: string;
  readonly version: number;
  readonly content: string | undefined;
}

/** By version; changes of one revision are in no particular order. */
const inOrder = (a: Call, b: Call): number => a.version - b.version || compareBytes(a.key, b.key);

function sameCalls(expected: readonly Call[], batch: readonly Heard[]): boolean {
  const text = ({ type, key, version, content }: Call): string => JSON.stringify([type, key, version, content]);
  if (batch.some(({ version }, index) => version < (batch[index - 1]?.version ?? 0))) return false;
  const calls = batch.toSorted(inOrder);
  return expected.length === calls.length && expected.toSorted(inOrder).every((call, index) => text(call) === text(calls[index] ?? call));
}

/** What is true in its history from the revision after the one that is known on, to `end`. */
function trueCalls(
  knowledge: Knowledge,
  end: number,
  { filter }: ClientRecord,
): { readonly calls: readonly Call[] } & Pick<Knowledge, 'items' | 'ahead'> {
  const { history, revision } = knowledge;
  const items = new Map(knowledge.items);
  const ahead = new Map(knowledge.ahead);
  if (!history) return { calls: [], items, ahead };
  const calls = revisionsBetween(history, revision, end + 1, filter).flatMap((at) =>
    changesAt(history, at, filter).flatMap(({ key, content }): Call[] => {
      const own = ahead.get(key);
      if (own && at < own.version) {
        ahead.set(key, { ...own, told: content === undefined ? undefined : { version: at, content } });
        return [];
      }
      ahead.delete(key);
      if (at === own?.version && items.get(key)?.content === content) return [];
      const type = content === undefined ? 'deleted' : items.has(key) ? 'updated' : 'created';
      if (content === undefined) return items.delete(key) ? [{ type, key, version: at, content }] : [];
      items.set(key, { version: at, content });
      return [{ type, key, version: at, content }];
    }),
  );
  return { calls, items, ahead };
}

/** What is known one revision on, if all that it changed lies beneath writes of its own; undefined if it would have been told. */
function followInSilence(knowledge: Knowledge, record: ClientRecord): Knowledge | undefined {
  const { history, revision, ahead: before } = knowledge;
  if (!history || before.size === 0) return undefined;
  const [next] = revisionsBetween(history, revision, Infinity, record.filter);
  if (next === undefined) return undefined;
  const { calls, items, ahead } = trueCalls(knowledge, next, record);
  return calls.length === 0 ? { ...knowledge, revision: next, items, ahead } : undefined;
}

/** The batch as all true changes that follow what is known. */
function follow(knowledge: Knowledge, batch: readonly Heard[], record: ClientRecord): readonly Knowledge[] {
  const revision = Math.max(...batch.map(({ version }) => version));
  const { calls, items, ahead } = trueCalls(knowledge, revision, record);
  return sameCalls(calls, batch) ? [{ ...knowledge, revision, items, ahead }] : [];
}

/** The batch as the return to what the stream had told, of keys with writes of its own that the history it is in does not have. */
function lose(knowledge: Knowledge, batch: readonly Heard[], { filter }: ClientRecord): readonly Knowledge[] {
  const items = new Map(knowledge.items);
  const ahead = new Map(knowledge.ahead);
  for (const { key, type, version, content } of batch) {
    const own = ahead.get(key);
    const shown = items.get(key);
    if (!own || content !== own.told?.content || (own.told && version !== own.told.version)) return [];
    if (type !== (own.told ? (shown ? 'updated' : 'created') : 'deleted')) return [];
    const isThere = knowledge.history && changesAt(knowledge.history, own.version, filter).some((change) => change.key === key);
    if (isThere && shown?.version === own.version) return [];
    ahead.delete(key);
    if (own.told) items.set(key, own.told);
    else items.delete(key);
  }
  return [{ ...knowledge, items, ahead }];
}

/** The batch as the answer to a write of the client's own, heard before the stream told of it. */
function takeOwn(
  histories: readonly TrueHistory[],
  knowledge: Knowledge,
  batch: readonly Heard[],
  { ownVersions, filter }: ClientRecord,
): readonly Knowledge[] {
  const [call] = batch;
  if (!call || batch.length > 1 || call.content === undefined || !ownVersions.has(call.version)) return [];
  const { key, version, content } = call;
  // Perhaps of a history the client has not been told of yet.
  const isTrue = histories.some((history) =>
    changesAt(history, version, filter).some((change) => change.key === key && change.content === content),
  );
  if (!isTrue || version <= (knowledge.items.get(key)?.version ?? 0)) return [];
  return [
    {
      ...knowledge,
      items: new Map(knowledge.items).set(key, { version, content }),
      ahead: new Map(knowledge.ahead).set(key, { version, told: (knowledge.ahead.get(key) ?? { told: knowledge.items.get(key) }).told }),
    },
  ];
}

interface Adoption {
  readonly knowledge: Knowledge;
  /** The calls it owes. */
  readonly difference: readonly Call[];
}

/** What is known after one of the whole states to come was taken over, for each history that its position may belong to. */
function adopt(histories: readonly TrueHistory[], { filter, snapshots }: ClientRecord, knowledge: Knowledge): readonly Adoption[] {
  return snapshots.slice(knowledge.next).flatMap((cursor, place) => {
    const { revision } = readCursor(cursor);
    return historiesOf(histories, cursor).flatMap((index): Adoption[] => {
      const history = histories[index];
      if (!history) return [];
      const items = stateAt(history, revision, filter);
      const ahead = new Map<string, Ahead>();
      // What a write of its own has brought is newer than the state, if the state is of the same history.
      if (knowledge.history === undefined || knowledge.history === history) {
        for (const [key, { version }] of knowledge.ahead) {
          const own = knowledge.items.get(key);
          if (version <= revision || !own) continue;
          ahead.set(key, { version, told: items.get(key) });
          items.set(key, own);
        }
      }
      const adopted = { history, revision, items, ahead, next: knowledge.next + place + 1 };
      return [{ knowledge: adopted, difference: differenceTo(items, knowledge, revision) }];
    });
  });
}

function differenceTo(items: ReadonlyMap<string, TrueItem>, knowledge: Knowledge, revision: number): readonly Call[] {
  const difference: Call[] = [];
  for (const [key, { version, content }] of items) {
    const known = knowledge.items.get(key);
    if (known?.content !== content) difference.push({ type: known ? 'updated' : 'created', key, version, content });
  }
  for (const key of knowledge.items.keys()) {
    if (!items.has(key)) difference.push({ type: 'deleted', key, version: revision, content: undefined });
  }
  return difference;
}
