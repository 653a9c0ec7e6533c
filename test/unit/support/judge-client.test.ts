import { describe, expect, test } from 'vitest';
import { judgeClient, OVERRIDDEN, type ClientGuarantee, type ClientRecord, type Heard } from '../../support/judge-client.ts';
import { formatContent } from '../../support/recorded-store.ts';
import type { TrueHistory } from '../../support/true-history.ts';

const content = (value: unknown): string => formatContent(value, 'application/json', {});

/** Revision 1 begins the epoch, 2 to 6 are changes. */
const HISTORY: TrueHistory = {
  chains: [[{ id: 'e', from: 1 }]],
  batches: [
    { revision: 1, changes: [] },
    { revision: 2, changes: [{ key: 'a', content: content(1) }] },
    { revision: 3, changes: [{ key: 'a', content: content(2) }] },
    { revision: 4, changes: [{ key: 'b', content: content('x') }] },
    { revision: 5, changes: [{ key: 'a', content: undefined }] },
    { revision: 6, changes: [{ key: 'b', content: content('y') }] },
  ],
};
/** After revision 3 the store was put back, and went another way. */
const RESTORED: TrueHistory = {
  chains: [[{ id: 'e', from: 1 }], [{ id: 'f', from: 4 }]],
  batches: [...HISTORY.batches.slice(0, 3), { revision: 4, changes: [] }, { revision: 5, changes: [{ key: 'c', content: content(9) }] }],
};

/** A call as a correct client makes it, but for what `wrong` says. */
function call(
  batch: number,
  type: Heard['type'],
  key: string,
  version: number,
  values: readonly [unknown, unknown],
  wrong: Partial<Heard> = {},
): Heard {
  const [oldValue, newValue] = values;
  const isDeletion = type === 'deleted';
  return {
    batch,
    type,
    key,
    version,
    oldValue: JSON.stringify(oldValue),
    newValue: JSON.stringify(newValue),
    content: isDeletion ? undefined : content(newValue),
    readBefore: type === 'created' ? undefined : JSON.stringify(oldValue),
    readFirst: isDeletion ? undefined : JSON.stringify(newValue),
    readNow: isDeletion ? undefined : JSON.stringify(newValue),
    ...wrong,
  };
}

const RIGHT: readonly Heard[] = [
  call(1, 'created', 'a', 2, [null, 1]),
  call(2, 'updated', 'a', 3, [1, 2]),
  call(3, 'created', 'b', 4, [null, 'x']),
  call(4, 'deleted', 'a', 5, [2, null]),
  call(5, 'updated', 'b', 6, ['x', 'y']),
];

function record(changes: Partial<ClientRecord> = {}): ClientRecord {
  return {
    filter: { keys: [], prefixes: [''] },
    heard: RIGHT,
    snapshots: ['e-2'],
    cursors: ['e-2', 'e-4', 'e-4', 'e-6'],
    ownVersions: new Set(),
    values: new Map([['b', '"y"']]),
    overrides: new Map(),
    relapses: [],
    overlaps: 0,
    ...changes,
  };
}

const broken = (changes: Partial<ClientRecord>, histories: readonly TrueHistory[] = [HISTORY]): readonly ClientGuarantee[] => [
  ...new Set(judgeClient(histories, record(changes)).map(({ guarantee }) => guarantee)),
];

describe('what a client may do', () => {
  test('hear every change, each as a batch', () => {
    expect(broken({})).toEqual([]);
  });

  test('hear several revisions in one batch, as polls bring them, and read the last of them', () => {
    const heard = [
      RIGHT[0]!,
      call(2, 'updated', 'a', 3, [1, 2], { readFirst: undefined, readNow: undefined }),
      call(2, 'created', 'b', 4, [null, 'x'], { readNow: '"x"' }),
      call(2, 'deleted', 'a', 5, [2, null], { readBefore: '1' }),
      RIGHT[4]!,
    ];
    expect(broken({ heard })).toEqual([]);
  });

  test('be told the difference to a second state instead', () => {
    const heard = [RIGHT[0]!, call(2, 'created', 'b', 6, [null, 'y']), call(2, 'deleted', 'a', 6, [1, null])];
    expect(broken({ heard, snapshots: ['e-2', 'e-6'] })).toEqual([]);
  });

  test('hear nothing of a second state that brings nothing new, and go on from there', () => {
    expect(broken({ snapshots: ['e-2', 'e-2'] })).toEqual([]);
    expect(broken({ snapshots: Array.from({ length: 100 }, () => 'e-2') })).toEqual([]);
  });

  test('not take over a state whose end was cut off', () => {
    expect(broken({ snapshots: ['e-2', 'e-5'] })).toEqual([]);
  });

  test('hear the answer to its own write before the stream comes to it', () => {
    const heard = [
      RIGHT[0]!,
      call(2, 'created', 'b', 6, [null, 'y']),
      call(3, 'updated', 'a', 3, [1, 2]),
      call(4, 'deleted', 'a', 5, [2, null]),
    ];
    expect(broken({ heard, ownVersions: new Set([6]) })).toEqual([]);
    expect(broken({ heard })).toContain('Explained');
  });

  test('hear of a key that an operator covers when it is covered, and when it is no longer', () => {
    const history = { ...HISTORY, batches: [...HISTORY.batches, { revision: 7, changes: [{ key: OVERRIDDEN, content: content(1) }] }] };
    const heard = [
      ...RIGHT,
      call(6, 'created', OVERRIDDEN, 0, [null, 'x'], { override: '"x"' }),
      call(7, 'updated', OVERRIDDEN, 7, ['x', 1]),
    ];
    const values = new Map([
      ['b', '"y"'],
      [OVERRIDDEN, '1'],
    ]);
    expect(broken({ heard, values }, [history])).toEqual([]);
    expect(broken({ heard: heard.slice(0, -1), values }, [history])).toEqual(['Complete']);
    const [overrides, covered] = [new Map([[OVERRIDDEN, '"x"']]), new Map([...values, [OVERRIDDEN, '"x"']])];
    expect(broken({ heard: heard.slice(0, -1), values: covered, overrides }, [history])).toEqual([]);
    expect(broken({ heard: heard.slice(0, -1), values, overrides }, [history])).toEqual(['Converges', 'Complete']);
    const told = [...heard.slice(0, -1), call(7, 'updated', OVERRIDDEN, 7, ['x', 1], { override: '"x"' })];
    expect(broken({ heard: told, values: covered, overrides }, [history])).toEqual(['Complete', 'Overridden']);
    const again = [...heard.slice(0, -1), call(7, 'updated', OVERRIDDEN, 7, ['x', 'x'], { override: '"x"' })];
    expect(broken({ heard: again, values: covered, overrides }, [history])).toEqual(['Overridden']);
  });

  test('go over to another history by the difference, where versions begin again', () => {
    const heard = [
      ...RIGHT,
      call(6, 'created', 'a', 3, [null, 2]),
      call(6, 'created', 'c', 5, [null, 9]),
      call(6, 'deleted', 'b', 5, ['y', null]),
    ];
    const values = new Map([
      ['a', '2'],
      ['c', '9'],
    ]);
    const snapshots = ['e-2', 'f-5'];
    expect(broken({ heard, values, snapshots, cursors: ['e-6', 'f-5'] }, [HISTORY, RESTORED])).toEqual([]);
  });
});

describe('what a client that was told of two histories may do', () => {
  const values = new Map([
    ['a', '2'],
    ['c', '9'],
  ]);
  const intoRestored = [call(8, 'created', 'c', 5, [null, 9])];

  test('take over a state without a call, and then another one', () => {
    const first = [call(1, 'created', 'a', 3, [null, 2]), ...intoRestored];
    expect(broken({ heard: first, values, snapshots: ['e-3', 'f-5'], cursors: [] }, [HISTORY, RESTORED])).toEqual([]);
  });

  test('have its own write, then the first state without a call, then lose it with the history it was of', () => {
    const own = [call(1, 'created', 'c', 3, [null, 9]), call(2, 'deleted', 'c', 2, [9, null])];
    const history: TrueHistory = {
      chains: [[{ id: 'e', from: 1 }]],
      batches: [{ revision: 3, changes: [{ key: 'c', content: content(9) }] }],
    };
    const next: TrueHistory = { chains: [[{ id: 'f', from: 1 }]], batches: [{ revision: 2, changes: [] }] };
    const told = { heard: own, values: new Map(), ownVersions: new Set([3]), cursors: [] };
    expect(broken({ ...told, snapshots: ['e-3', 'f-2'] }, [history, next])).toEqual([]);
    // It may ask, and it may see that the stream has passed its write without telling of it.
    expect(broken({ ...told, snapshots: ['f-2'] }, [history, next])).toEqual([]);
    // A write that is in the only history there is cannot be lost.
    expect(broken({ ...told, snapshots: ['e-2'] }, [history])).toContain('Explained');
  });

  test('lose its own write to what the stream had told beneath it, unheard', () => {
    const chains = [[{ id: 'e', from: 1 }]] as const;
    const made = { revision: 1, changes: [{ key: 'c', content: content(1) }] };
    const old: TrueHistory = { chains, batches: [made, { revision: 3, changes: [{ key: 'c', content: content(9) }] }] };
    const next: TrueHistory = { chains, batches: [made, { revision: 2, changes: [{ key: 'c', content: content(2) }] }] };
    const heard = [call(1, 'created', 'c', 1, [null, 1]), call(2, 'updated', 'c', 3, [1, 9]), call(3, 'updated', 'c', 2, [9, 2])];
    const told = { heard, values: new Map([['c', '2']]), ownVersions: new Set([3]), cursors: [], snapshots: ['e-1'] };
    expect(broken(told, [old, next])).toEqual([]);
    expect(broken(told, [old])).toContain('Explained');
  });

  test('go on in the part that both share, and then in either', () => {
    const shared = [call(1, 'created', 'a', 2, [null, 1]), call(2, 'updated', 'a', 3, [1, 2])];
    expect(broken({ heard: [...shared, ...intoRestored], values, snapshots: ['e-2'], cursors: [] }, [HISTORY, RESTORED])).toEqual([]);
  });
});

describe('what a client may not do', () => {
  const without = (index: number): readonly Heard[] => RIGHT.filter((_call, at) => at !== index);
  const instead = (index: number, wrong: Partial<Heard>): readonly Heard[] =>
    RIGHT.map((one, at) => (at === index ? { ...one, ...wrong } : one));
  const rows: readonly {
    readonly what: string;
    readonly changes: Partial<ClientRecord>;
    readonly guarantees: readonly ClientGuarantee[];
  }[] = [
    { what: 'end with another value', changes: { values: new Map([['b', '"x"']]) }, guarantees: ['Converges', 'Complete'] },
    {
      what: 'end with a key too many',
      changes: {
        values: new Map([
          ['a', '2'],
          ['b', '"y"'],
        ]),
      },
      guarantees: ['Converges', 'Complete'],
    },
    { what: 'miss a change', changes: { heard: without(2) }, guarantees: ['OldValue', 'Complete', 'Explained'] },
    { what: 'miss the last change', changes: { heard: without(4) }, guarantees: ['Complete', 'Explained'] },
    {
      what: 'miss the last change after a second state',
      changes: { heard: without(4), snapshots: ['e-2', 'e-2'] },
      guarantees: ['Complete', 'Explained'],
    },
    {
      what: 'tell a change twice',
      changes: { heard: [...RIGHT, RIGHT[4]!] },
      guarantees: ['Increasing', 'OldValue', 'Complete', 'Explained'],
    },
    { what: 'tell another value', changes: { heard: instead(2, { content: content('z') }) }, guarantees: ['Complete', 'Explained'] },
    { what: 'tell another type', changes: { heard: instead(2, { type: 'updated' }) }, guarantees: ['Explained'] },
    { what: 'tell an old value nobody was shown', changes: { heard: instead(1, { oldValue: '7' }) }, guarantees: ['OldValue'] },
    { what: 'tell an old value that get did not answer', changes: { heard: instead(1, { readBefore: '7' }) }, guarantees: ['OldValue'] },
    { what: 'answer the old value during the call', changes: { heard: instead(1, { readNow: '1' }) }, guarantees: ['ReadsNew'] },
    {
      what: 'answer the old value during an earlier call of the batch',
      changes: { heard: instead(1, { readFirst: '1' }) },
      guarantees: ['ReadsNew'],
    },
    { what: 'ask for the whole state though it knows one', changes: { relapses: ['request 3'] }, guarantees: ['Forward'] },
    { what: 'resume from before where it was', changes: { cursors: ['e-4', 'e-3'] }, guarantees: ['Forward'] },
    { what: 'hold two connections', changes: { overlaps: 1 }, guarantees: ['OneConnection'] },
  ];
  test.each(rows)('$what', ({ changes, guarantees }) => {
    expect(broken(changes)).toEqual(guarantees);
  });

  test('miss the last change after a second state, even to an equal value', () => {
    const history = { ...HISTORY, batches: [...HISTORY.batches, { revision: 7, changes: [{ key: 'b', content: content('y') }] }] };
    expect(broken({ snapshots: ['e-2', 'e-2'] }, [history])).toEqual(['Explained']);
  });

  test('tell less, or more, than the difference to a second state', () => {
    const deletion = call(2, 'deleted', 'a', 6, [1, null]);
    const creation = call(2, 'created', 'b', 6, [null, 'y']);
    const snapshots = ['e-2', 'e-6'];
    for (const batch of [[deletion], [creation], [creation, deletion, call(2, 'created', 'c', 6, [null, 1])]]) {
      expect(broken({ heard: [RIGHT[0]!, ...batch], snapshots })).toContain('Explained');
    }
  });
});
