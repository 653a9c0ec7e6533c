import { describe, expect, it } from 'vitest';
import { failureError, readRefusal, refusalError } from '../../../../src/providers/consul/consul-error.ts';
import { isPathSafe, listablePrefix } from '../../../../src/providers/consul/key-path.ts';
import { WorkBudget } from '../../../../src/providers/consul/work-budget.ts';

const failedFor = (what: string): string => JSON.stringify({ Errors: [{ OpIndex: 0, What: what }] });

describe('an answer of Consul that is no success', () => {
  it.each([
    [403, 'ACL not found', true, 'UNAUTHENTICATED'],
    [401, 'ACL support disabled', true, 'UNAUTHENTICATED'],
    [403, 'rpc error making call: Permission denied', true, 'PERMISSION_DENIED'],
    [409, failedFor('Permission denied'), true, 'PERMISSION_DENIED'],
    [409, failedFor('failed to set key "a", index is stale'), true, 'CONFLICT'],
    [409, failedFor('key "notes/permission denied" exists'), true, 'CONFLICT'],
    [409, failedFor('failed to set key "acl not found", index is stale'), true, 'CONFLICT'],
    [409, failedFor('Permission denied: token lacks permission on "a"'), true, 'PERMISSION_DENIED'],
    [409, failedFor('rpc error making call: Permission denied'), true, 'PERMISSION_DENIED'],
    [500, 'failed to read "No cluster leader"', true, 'OUTCOME_UNKNOWN'],
    [413, 'Request body too large', true, 'VALUE_TOO_LARGE'],
    [429, 'rate limit reached, try again later', true, 'UNAVAILABLE'],
    [500, 'No cluster leader', true, 'UNAVAILABLE'],
    [500, 'leadership lost while committing log', true, 'OUTCOME_UNKNOWN'],
    [503, 'whatever', true, 'OUTCOME_UNKNOWN'],
    [503, 'whatever', false, 'UNAVAILABLE'],
    [301, '', false, 'PROTOCOL'],
  ])('%i %o of a call (a write: %s) is %s', (status, body, isWrite, code) => {
    expect(refusalError(readRefusal(status, {}, body), 'host:8500', isWrite)).toMatchObject({ code });
  });

  it('tells how long Consul wants to be left alone', () => {
    const refusal = readRefusal(429, { 'retry-after': '2' }, 'rate limit');
    expect(refusalError(refusal, 'host:8500', false)).toMatchObject({ details: { retryAfterMs: 2_000 } });
  });
});

describe('a missing answer', () => {
  it('leaves a write unknown only once it was sent', () => {
    const of = (isWrite: boolean, wasSent: boolean) => failureError(new Error('reset'), 'host:8500', { isWrite, wasSent });
    expect(of(true, true)).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(of(true, false)).toMatchObject({ code: 'UNAVAILABLE' });
    expect(of(false, true)).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a key in the path of a URL', () => {
  it.each(['a', 'a/b', 'a/', '%2F?#', ' '])('may be %o', (key) => expect(isPathSafe(key)).toBe(true));
  it.each(['/a', 'a//b', 'a/../b', './a', 'a\nb', 'é', '//'])('may not be %o', (key) => expect(isPathSafe(key)).toBe(false));

  it('is listed by its longest start that may', () => {
    expect(listablePrefix('app/é/x')).toBe('app/');
    expect(listablePrefix('app//x')).toBe('app/');
    expect(listablePrefix('/app')).toBe('');
    expect(listablePrefix('app/config/')).toBe('app/config/');
  });
});

describe('the budget of reading', () => {
  it('lets small work through and waits for what dear work has cost', () => {
    let now = 0;
    const budget = new WorkBudget(() => now);
    budget.spend(200);
    expect(budget.waitMs).toBe(0);
    budget.spend(160);
    expect(budget.waitMs).toBe(200);
    now += 200;
    expect(budget.waitMs).toBe(0);
  });
});
