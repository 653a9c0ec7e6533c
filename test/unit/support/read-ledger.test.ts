import { describe, expect, test } from 'vitest';
import { ReadLedger, type ReadRequest } from '../../support/read-ledger.ts';

const poll = (cursor: string): ReadRequest => ({ kind: 'poll', cursor });
const list: ReadRequest = { kind: 'list', cursor: undefined };
const stream = (cursor: string): ReadRequest => ({ kind: 'stream', cursor });

function ledgerOf(...requests: readonly (ReadRequest & { readonly isRefused?: boolean })[]): ReadLedger {
  const ledger = new ReadLedger();
  for (const request of requests) {
    ledger.begin(request)();
    if (request.isRefused) ledger.addRefusal(request);
  }
  return ledger;
}

describe('a request for the whole state by a client that has a position', () => {
  test('is a relapse', () => {
    expect(ledgerOf(poll('e-1'), list).relapses).toHaveLength(1);
    expect(ledgerOf(stream('e-1'), list).relapses).toHaveLength(1);
    expect(ledgerOf({ ...poll('e-1'), isRefused: true }, poll('e-1'), list).relapses).toHaveLength(1);
  });

  test('is none after a poll that was refused, whatever stream arrives in between', () => {
    expect(ledgerOf({ ...poll('e-1'), isRefused: true }, list).relapses).toEqual([]);
    expect(ledgerOf({ ...poll('e-1'), isRefused: true }, stream('e-1'), list).relapses).toEqual([]);
  });
});
