import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { parseKey } from '../../../../src/core/key.ts';
import { decide, type DecideContext, type Decision, type KeyState, type WriteRequest } from '../../../../src/server/store/decide.ts';
import { createLayout } from '../../../../src/server/store/layout.ts';
import { encodeSidecar, parseSidecar, type Sidecar } from '../../../../src/server/store/sidecar.ts';
import type { WriteBody } from '../../../../src/server/store/write-body.ts';
import { at, entry } from '../stored.ts';

const key = parseKey('app/x');
const layout = createLayout('ns');
const context: DecideContext = {
  layout,
  limits: { maxValueBytes: 1_000, maxTransactionBytes: 100_000 },
  etagOf: (item) => `e-${item.version}`,
  stamp: { writeId: 'write-1', timestamp: '2026-11-21T00:00:00.000Z' },
};

const sidecar = (overrides: Partial<Sidecar> = {}): Sidecar => ({
  contentType: 'application/json',
  metadata: { owner: 'ann' },
  lastUpdated: '2026-01-01T00:00:00.000Z',
  sequence: 4,
  writeId: 'write-0',
  ...overrides,
});

const stateOf = (value: string | undefined, own?: Sidecar, revision = 9, sidecarRevision = revision): KeyState => ({
  value: value === undefined ? undefined : entry('ns/app/x', value, revision),
  sidecar: own && entry('ns/.attune/meta/app/x', encodeSidecar(own), sidecarRevision),
});

const put = (body: WriteBody, condition: WriteRequest['condition'] = {}): WriteRequest => ({ type: 'put', key, condition, body });
const envelope = (fields: Partial<Extract<WriteBody, { form: 'envelope' }>>, condition: WriteRequest['condition'] = {}): WriteRequest =>
  put({ form: 'envelope', ...fields }, condition);
const remove = (condition: WriteRequest['condition'] = {}): WriteRequest => ({ type: 'delete', key, condition });

function commitOf(decision: Decision): Extract<Decision, { action: 'commit' }> {
  if (decision.action !== 'commit') throw new Error(`expected a commit, got ${JSON.stringify(decision)}`);
  return decision;
}

describe('a commit', () => {
  it('writes value, sidecar and history record together and checks the revisions it was decided on', () => {
    const { transaction, type } = commitOf(decide(envelope({ valueText: '2' }), stateOf('1', sidecar()), context));
    expect(type).toBe('updated');
    expect(transaction.checks).toEqual([
      { key: 'ns/app/x', revision: 9 },
      { key: 'ns/.attune/meta/app/x', revision: 9 },
      { key: 'ns.attune/history/app%2Fx/0000000000000005', revision: null },
    ]);
    expect(transaction.operations.map((operation) => [operation.type, operation.key])).toEqual([
      ['put', 'ns/app/x'],
      ['put', 'ns/.attune/meta/app/x'],
      ['put', 'ns.attune/history/app%2Fx/0000000000000005'],
    ]);
  });

  it('checks that nothing is there when it creates', () => {
    const { transaction, type } = commitOf(decide(envelope({ valueText: '2' }), stateOf(undefined), context));
    expect(type).toBe('created');
    expect(transaction.checks.map(({ revision }) => revision)).toEqual([null, null, null]);
  });

  it('continues the sequence over a tombstone, and after the highest record where nobody tells', () => {
    const over = commitOf(decide(envelope({ valueText: '2' }), stateOf(undefined, sidecar({ deleted: true, sequence: 8 })), context));
    expect(over.type).toBe('created');
    expect(over.sidecar.sequence).toBe(9);
    expect(over.sidecar.metadata).toEqual({});
    expect(commitOf(decide(envelope({ valueText: '2' }), { ...stateOf('1'), lastSequence: 12 }, context)).sidecar.sequence).toBe(13);
  });

  it('leaves a tombstone of what was there when it deletes', () => {
    const { transaction, sidecar: tombstone, value } = commitOf(decide(remove(), stateOf('1', sidecar()), context));
    expect(value).toBeUndefined();
    expect(transaction.operations[0]).toEqual({ type: 'delete', key: 'ns/app/x' });
    expect(tombstone).toMatchObject({
      deleted: true,
      sequence: 5,
      contentType: 'application/json',
      metadata: { owner: 'ann' },
      writeId: 'write-1',
    });
  });

  it('stores the value’s bytes as written, and once more in the record', () => {
    const { transaction, value } = commitOf(
      decide(put({ form: 'text', text: 'é\n', contentType: 'text/plain' }), stateOf(undefined), context),
    );
    expect(Buffer.from(value ?? []).toString()).toBe('é\n');
    const record = transaction.operations[2];
    expect(record?.type === 'put' && JSON.parse(Buffer.from(record.value).toString())).toMatchObject({
      type: 'created',
      key: 'app/x',
      sequence: 1,
      value: 'é\n',
      writeId: 'write-1',
    });
  });

  it('rewrites the value for a change of metadata only, so that the version tells it', () => {
    const { transaction, sidecar: next } = commitOf(
      decide(envelope({ metadata: { owner: 'bob' } }), stateOf(' {"a":1} ', sidecar()), context),
    );
    expect(transaction.operations[0]).toEqual({ type: 'put', key: 'ns/app/x', value: Buffer.from(' {"a":1} ') });
    expect(next.metadata).toEqual({ owner: 'bob' });
  });

  it('keeps bytes that are not text when only metadata changes', () => {
    const bytes = Uint8Array.of(0xff, 0x00);
    const state: KeyState = { value: { ...entry('ns/app/x', '', 9), value: bytes }, sidecar: undefined };
    const { transaction, sidecar: next } = commitOf(decide(envelope({ metadata: { a: 'b' } }), state, context));
    expect(transaction.operations[0]).toMatchObject({ type: 'put', value: bytes });
    expect(next.contentType).toBe('application/octet-stream');
    const record = transaction.operations[2];
    expect(record?.type === 'put' && JSON.parse(Buffer.from(record.value).toString())).toMatchObject({ value: '/wA=', encoding: 'base64' });
  });

  it('keeps what is left out and clears what is empty', () => {
    const keep = commitOf(decide(envelope({ valueText: '2' }), stateOf('1', sidecar()), context));
    expect(keep.sidecar.metadata).toEqual({ owner: 'ann' });
    const clear = commitOf(decide(envelope({ metadata: {} }), stateOf('1', sidecar()), context));
    expect(clear.sidecar.metadata).toEqual({});
    expect(parseSidecar(entry('s', encodeSidecar(clear.sidecar), 1))?.metadata).toEqual({});
  });

  it('does not carry an earlier comment on', () => {
    expect(
      commitOf(decide(envelope({ valueText: '2' }), stateOf('1', sidecar({ comment: 'old' })), context)).sidecar.comment,
    ).toBeUndefined();
    expect(commitOf(decide(envelope({ valueText: '2', comment: 'new' }), stateOf('1', sidecar()), context)).sidecar.comment).toBe('new');
  });
});

describe('nothing changed', () => {
  it.each<[string, WriteRequest, KeyState]>([
    ['an equal value', envelope({ valueText: '{"a":1,"b":2}' }), stateOf('{"a":1,"b":2}', sidecar())],
    ['white space and order of members', envelope({ valueText: '{ "b":2, "a":1.0 }' }), stateOf('{"a":1,"b":2}', sidecar())],
    [
      'equal metadata in another order',
      envelope({ metadata: { b: '2', a: '1' } }),
      stateOf('1', sidecar({ metadata: { a: '1', b: '2' } })),
    ],
    ['a comment only', envelope({ comment: 'why' }), stateOf('1', sidecar())],
    ['nothing given', envelope({}), stateOf('1', sidecar())],
    ['equal text', put({ form: 'text', text: 'x', contentType: 'text/plain' }), stateOf('x', sidecar({ contentType: 'text/plain' }))],
    ['a value of another tool, equal', put({ form: 'untyped', text: 'x' }), stateOf('x')],
  ])('by %s: no commit', (_, request, state) => {
    expect(decide(request, state, context)).toMatchObject({ action: 'unchanged', item: { version: 9 } });
  });

  it.each<[string, WriteRequest, KeyState]>([
    ['another digit that a double cannot hold', envelope({ valueText: '9007199254740993' }), stateOf('9007199254740992', sidecar())],
    [
      'white space in text',
      put({ form: 'text', text: 'x ', contentType: 'text/plain' }),
      stateOf('x', sidecar({ contentType: 'text/plain' })),
    ],
    [
      'JSON that means the same, stored as text',
      put({ form: 'text', text: '{"a": 1}', contentType: 'text/plain' }),
      stateOf('{"a":1}', sidecar({ contentType: 'text/plain' })),
    ],
    [
      'another type of equal bytes',
      put({ form: 'text', text: 'x', contentType: 'text/markdown' }),
      stateOf('x', sidecar({ contentType: 'text/plain' })),
    ],
    ['one metadata entry more', envelope({ metadata: { owner: 'ann', a: '1' } }), stateOf('1', sidecar())],
    ['one metadata entry less', envelope({ metadata: {} }), stateOf('1', sidecar())],
    [
      'another metadata name of the same value',
      envelope({ metadata: { toString: 'ann' } }),
      stateOf('1', sidecar({ metadata: { owner: 'ann' } })),
    ],
    ['members in an array in another order', envelope({ valueText: '[2,1]' }), stateOf('[1,2]', sidecar())],
  ])('is not so by %s', (_, request, state) => {
    expect(decide(request, state, context).action).toBe('commit');
  });
});

describe('order of decisions', () => {
  it('preconditions come before "nothing changed"', () => {
    const decision = decide(envelope({ valueText: '1' }, { ifVersion: at(8) }), stateOf('1', sidecar()), context);
    expect(decision.action === 'refuse' && decision.error.code).toBe('CONFLICT');
  });

  it('preconditions come before a body that does not fit', () => {
    const decision = decide(put({ form: 'untyped', text: 'no json' }, { ifAbsent: true }), stateOf('1', sidecar()), context);
    expect(decision.action === 'refuse' && decision.error.code).toBe('CONFLICT');
  });

  it('a delete of no key is 404, but 412 if it named a version', () => {
    expect(decide(remove(), stateOf(undefined), context)).toMatchObject({ action: 'refuse', error: { code: 'NOT_FOUND' } });
    expect(decide(remove({ ifMatch: ['e-9'] }), stateOf(undefined), context)).toMatchObject({
      action: 'refuse',
      error: { code: 'CONFLICT', details: { current: null } },
    });
    expect(decide(remove({ ifMatch: '*' }), stateOf(undefined), context)).toMatchObject({ action: 'refuse', error: { code: 'CONFLICT' } });
    expect(decide(remove({ ifVersion: at(9) }), stateOf(undefined), context)).toMatchObject({
      action: 'refuse',
      error: { code: 'CONFLICT' },
    });
    expect(decide(remove({ ifVersion: at(0) }), stateOf(undefined), context)).toMatchObject({
      action: 'refuse',
      error: { code: 'NOT_FOUND' },
    });
  });

  it('a delete over a tombstone is 404', () => {
    expect(decide(remove(), stateOf(undefined, sidecar({ deleted: true })), context)).toMatchObject({
      action: 'refuse',
      error: { code: 'NOT_FOUND' },
    });
  });
});

describe('limits', () => {
  const refusal = (request: WriteRequest, limits: DecideContext['limits'] = context.limits): unknown => {
    try {
      return decide(request, stateOf(undefined), { ...context, limits });
    } catch (error) {
      return error;
    }
  };

  it('count the bytes that are stored, not those of the request', () => {
    const exactly = envelope({ valueText: JSON.stringify('\n'.repeat(1_000)), contentType: 'text/plain' });
    expect(refusal(exactly)).toMatchObject({ action: 'commit' });
    const error = refusal(put({ form: 'text', text: 'é'.repeat(501), contentType: 'text/plain' }));
    expect(isAttuneError(error, 'VALUE_TOO_LARGE') && error.details).toEqual({ bytes: 1_002, maxValueBytes: 1_000 });
  });

  it('include what history and sidecar take of the store’s transaction', () => {
    const error = refusal(put({ form: 'text', text: '\u0001'.repeat(900), contentType: 'text/plain' }), {
      maxValueBytes: 1_000,
      maxTransactionBytes: 3_000,
    });
    expect(isAttuneError(error, 'VALUE_TOO_LARGE') && error.details['maxTransactionBytes']).toBe(3_000);
  });
});
