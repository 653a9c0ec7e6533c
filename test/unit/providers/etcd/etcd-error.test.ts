import { describe, expect, it } from 'vitest';
import { isEndpointFailure, needsNewToken, readFailure, toAttuneError, wasNotSent } from '../../../../src/providers/etcd/etcd-error.ts';

/** As etcd 3.5 and grpc-js 1.14 word it, from runs and from their sources; what it means for a read, and for a write that was sent. */
const SAID = [
  [
    '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    'UNAVAILABLE',
    'UNAVAILABLE',
  ],
  ['14 UNAVAILABLE: Name resolution failed for target dns:nowhere.invalid:2379', 'UNAVAILABLE', 'UNAVAILABLE'],
  ['14 UNAVAILABLE: Channel closed before call started', 'UNAVAILABLE', 'UNAVAILABLE'],
  [
    '4 DEADLINE_EXCEEDED: Deadline exceeded after 0.402s,name resolution: 0.001s,metadata filters: 0.001s,Waiting for LB pick',
    'UNAVAILABLE',
    'UNAVAILABLE',
  ],
  ['4 DEADLINE_EXCEEDED: Deadline exceeded after 0.304s,LB pick: 0.001s,remote_addr=127.0.0.1:2379', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: Connection dropped', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: read ECONNRESET', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['1 CANCELLED: given up', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: etcdserver: request timed out', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: etcdserver: request timed out, possibly due to previous leader failure', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: etcdserver: leader changed', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: etcdserver: server stopped', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  // Also said of the write that was applied and filled the store: server/etcdserver/apply/quota.go.
  ['8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', 'UNAVAILABLE', 'OUTCOME_UNKNOWN'],
  // A reply that is too large is the reply to a write that was applied.
  ['8 RESOURCE_EXHAUSTED: Received message larger than max (5000000 vs 4194304)', 'VALUE_TOO_LARGE', 'OUTCOME_UNKNOWN'],
  ['14 UNAVAILABLE: etcdserver: no leader', 'UNAVAILABLE', 'UNAVAILABLE'],
  ['8 RESOURCE_EXHAUSTED: etcdserver: too many requests', 'UNAVAILABLE', 'UNAVAILABLE'],
  ['3 INVALID_ARGUMENT: etcdserver: request is too large', 'VALUE_TOO_LARGE', 'VALUE_TOO_LARGE'],
  ['8 RESOURCE_EXHAUSTED: grpc: received message larger than max (2200000 vs. 2097152)', 'VALUE_TOO_LARGE', 'VALUE_TOO_LARGE'],
  ['3 INVALID_ARGUMENT: etcdserver: too many operations in txn request', 'VALUE_TOO_LARGE', 'VALUE_TOO_LARGE'],
  ['3 INVALID_ARGUMENT: etcdserver: duplicate key given in txn request', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'],
  ['11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted', 'COMPACTED', 'OUTCOME_UNKNOWN'],
  ['11 OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision', 'INVALID_ARGUMENT', 'OUTCOME_UNKNOWN'],
  ['7 PERMISSION_DENIED: etcdserver: permission denied', 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
  ['3 INVALID_ARGUMENT: etcdserver: user name is empty', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
  ['3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
  ['16 UNAUTHENTICATED: the token was refused: invalid auth token', 'UNAUTHENTICATED', 'UNAUTHENTICATED'],
  ['3 INVALID_ARGUMENT: etcdserver: revision of auth store is old', 'UNAVAILABLE', 'UNAVAILABLE'],
] as const;

const codeOf = (message: string, isWrite: boolean): unknown => {
  const error = toAttuneError(new Error(message), 'a:1', isWrite);
  expect(error.message).toContain('a:1');
  return 'code' in error ? error.code : undefined;
};

describe('a failure of etcd', () => {
  it.each(SAID)('%s is told as %s, of a write as %s', (message, read, write) => {
    expect([codeOf(message, false), codeOf(message, true)]).toEqual([read, write]);
  });

  it('is sent again elsewhere only if it was sent to nobody', () => {
    const again = SAID.filter(([message]) => wasNotSent(readFailure(new Error(message)))).map(([message]) => message);
    expect(again.map((message) => message.slice(0, 45))).toEqual([
      '14 UNAVAILABLE: No connection established. La',
      '14 UNAVAILABLE: Name resolution failed for ta',
      '4 DEADLINE_EXCEEDED: Deadline exceeded after ',
    ]);
    for (const message of again) expect(codeOf(message, true)).toBe('UNAVAILABLE');
  });

  it('of the token asks for a new one, and only for a write that was certainly not applied', () => {
    const renewed = SAID.filter(([message]) => needsNewToken(new Error(message)));
    expect(renewed).toHaveLength(3);
    for (const [message] of renewed) expect(codeOf(message, true)).not.toBe('OUTCOME_UNKNOWN');
  });

  it('is the endpoint’s fault unless it answered, or is full', () => {
    const isElsewhere = (message: string): boolean => isEndpointFailure(readFailure(new Error(message)));
    expect(isElsewhere('14 UNAVAILABLE: etcdserver: no leader')).toBe(true);
    expect(isElsewhere('14 UNAVAILABLE: read ECONNRESET')).toBe(true);
    expect(isElsewhere('8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded')).toBe(false);
    expect(isElsewhere('7 PERMISSION_DENIED: etcdserver: permission denied')).toBe(false);
  });
});
