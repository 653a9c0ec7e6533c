import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { applyChanges } from '../../../../src/cli/import/apply.ts';
import type { PlannedChange } from '../../../../src/cli/import/plan.ts';
import type { Api } from '../../../../src/client/api.ts';
import type { PutBody } from '../../../../src/client/put-body.ts';
import { AttuneError, type ErrorCode } from '../../../../src/core/errors.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const created = (key: string): PlannedChange => ({
  type: 'created',
  key,
  value: { kind: 'json', text: '1' },
  contentType: 'application/json',
});
const deleted = (key: string): PlannedChange => ({
  type: 'deleted',
  key,
  old: { value: { kind: 'json', text: '1' }, contentType: 'application/json', version: 7, isBytes: false },
});
const many = (count: number): readonly PlannedChange[] => Array.from({ length: count }, (_, index) => created(`k${index}`));

interface Script {
  /** Called for each write; what it throws is what the server says. */
  readonly write?: (call: string, attempt: number) => void | Promise<void>;
  readonly abort?: AbortController;
}

async function apply(changes: readonly PlannedChange[], { write, abort = new AbortController() }: Script = {}) {
  const calls: string[] = [];
  const attempts = new Map<string, number>();
  let inFlight = 0;
  let mostInFlight = 0;
  const call = async (text: string): Promise<void> => {
    calls.push(text);
    attempts.set(text, (attempts.get(text) ?? 0) + 1);
    mostInFlight = Math.max(mostInFlight, ++inFlight);
    await turn();
    try {
      await write?.(text, attempts.get(text) ?? 1);
    } finally {
      inFlight--;
    }
  };
  const api = {
    put: (key: string, body: PutBody) => call(`put ${key} ${body.contentType ?? ''} ${String(body.raw)}`),
    delete: (key: string, options: { readonly ifVersion?: number }) => call(`delete ${key} ${options.ifVersion ?? ''}`),
  } as unknown as Api;
  const terminal = fakeTerminal();
  const waits: number[] = [];
  const wait = async (delayMs: number): Promise<void> => void waits.push(delayMs);
  const outcome: unknown = await applyChanges({ terminal, signal: abort.signal, wait }, api, changes).catch((error: unknown) => error);
  return { outcome, calls, mostInFlight, waits, told: terminal.told };
}
const fail = (code: ErrorCode, details = {}): never => {
  throw new AttuneError(code, `because of ${code}`, { details });
};

describe('carrying out a plan', () => {
  it('writes each change once, as it is, deletes only at the version that was seen', async () => {
    const text: PlannedChange = { type: 'created', key: 't', value: { kind: 'text', text: '20' }, contentType: 'text/plain' };
    const { outcome, calls, told } = await apply([created('a'), text, deleted('d')]);
    expect(outcome).toBeUndefined();
    expect(calls).toEqual(['put a application/json 1', 'put t text/plain 20', 'delete d 7']);
    expect(told).toEqual([]);
  });

  it('has 32 writes under way at once, no more', async () => {
    const { mostInFlight, calls } = await apply(many(200));
    expect(mostInFlight).toBe(32);
    expect(new Set(calls).size).toBe(200);
  });

  it('goes on after a failure and names each at the end', async () => {
    const { outcome, calls, told } = await apply(many(100), {
      write: (call) => (/ k(3|50) /.test(` ${call} `) ? fail('SCHEMA_VIOLATION') : undefined),
    });
    expect(calls).toHaveLength(100);
    expect(told).toEqual(['  k3: SCHEMA_VIOLATION: because of SCHEMA_VIOLATION', '  k50: SCHEMA_VIOLATION: because of SCHEMA_VIOLATION']);
    expect(outcome).toMatchObject({
      code: 'SCHEMA_VIOLATION',
      message: '2 of 100 changes failed, 98 were made; run the same command again for the rest',
      details: { failures: [{ key: 'k3', code: 'SCHEMA_VIOLATION' }, { key: 'k50' }] },
    });
  });

  it('lists twenty failures and counts the others', async () => {
    const { told } = await apply(many(30), { write: () => fail('INVALID_BODY') });
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toBe('  and 10 more');
  });

  it('takes the most serious code where they differ', async () => {
    const { outcome } = await apply(many(3), { write: (call) => fail(call.startsWith('put k1') ? 'OUTCOME_UNKNOWN' : 'CONFLICT') });
    expect(outcome).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  });

  it('repeats a write that was certainly not applied, waiting as the server asks, and no other', async () => {
    const busy = await apply([created('a')], {
      write: (_call, attempt) => (attempt < 3 ? fail('RATE_LIMITED', { retryAfterMs: 2_000 }) : undefined),
    });
    expect(busy.outcome).toBeUndefined();
    expect(busy.calls).toHaveLength(3);
    expect(busy.waits.every((ms) => ms >= 2_000)).toBe(true);
    const unknown = await apply([created('a')], { write: () => fail('OUTCOME_UNKNOWN') });
    expect(unknown.calls).toHaveLength(1);
  });

  it.each(['UNAVAILABLE', 'UNAUTHENTICATED'] as const)('stops where all would fail alike: %s', async (code) => {
    const { outcome, calls } = await apply(many(1_000), { write: () => fail(code) });
    expect(new Set(calls).size).toBe(32);
    expect(outcome).toMatchObject({ code });
  });

  it('is content if somebody else deleted the key, not if somebody changed it', async () => {
    expect((await apply([deleted('a')], { write: () => fail('NOT_FOUND') })).outcome).toBeUndefined();
    expect((await apply([deleted('a')], { write: () => fail('CONFLICT', { current: null }) })).outcome).toBeUndefined();
    expect((await apply([deleted('a')], { write: () => fail('CONFLICT', { current: { version: 8 } }) })).outcome).toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('lets writes under way end when it is interrupted, starts no more, and says how far it got', async () => {
    const abort = new AbortController();
    const reason = new Error('stopped by SIGINT');
    let ended = 0;
    const { outcome, calls, told } = await apply(many(1_000), {
      abort,
      write: async (call) => {
        if (call.startsWith('put k100 ')) abort.abort(reason);
        await turn();
        ended++;
      },
    });
    expect(outcome).toBe(reason);
    expect(calls.length).toBeLessThan(200);
    expect(ended).toBe(calls.length);
    expect(told).toEqual([`attune: stopped after ${ended} of 1000 changes; run the same command again for the rest`]);
  });
});
