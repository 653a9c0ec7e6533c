import { describe, expect, it } from 'vitest';
import type { Operation, Revision } from '../../../../src/core/provider.ts';
import { decodeBody, encodeOperations, type ConsulEntry } from '../../../../src/providers/consul/consul-wire.ts';
import { MAX_BODY_BYTES, planTransaction, requireSize } from '../../../../src/providers/consul/encode-transaction.ts';

const BIT = String(2n ** 52n);
const HUGE = '18446744073709551615';
const at = (revision: number): Revision => revision as Revision;
const value = Buffer.from('x');
const put = (key: string, bytes: Uint8Array = value): Operation => ({ type: 'put', key, value: bytes });
const known = (entries: Readonly<Record<string, Partial<ConsulEntry>>>) => (key: string) => {
  const entry = entries[key];
  return entry && { key, value, revision: at(5), createdRevision: at(5), flags: '0', ...entry };
};
const plan = (...args: Parameters<typeof planTransaction>) =>
  planTransaction(...args).map(({ operation, isGuess }) => ({ ...operation, isGuess }));

describe('a transaction in the verbs of Consul', () => {
  it('merges the check of a key into its put', () => {
    expect(plan({ checks: [{ key: 'a', revision: at(5) }], operations: [put('a', Buffer.from('y'))] }, known({ a: {} }))).toEqual([
      { verb: 'cas', key: 'a', value: Buffer.from('y'), index: 5, flags: '0', isGuess: false },
    ]);
    expect(plan({ checks: [{ key: 'a', revision: null }], operations: [put('a')] }, known({}))).toMatchObject([
      { index: 0, isGuess: false },
    ]);
  });

  it('compares a put without a check with what is known, as a guess', () => {
    expect(plan({ checks: [], operations: [put('a'), put('b')] }, known({ a: {} }))).toMatchObject([
      { index: 5, isGuess: true },
      { index: 0, isGuess: true },
    ]);
  });

  it('turns one bit of the flags over where the bytes are equal, and keeps the flags where they are not', () => {
    const flagsOf = (flags: string, bytes: Uint8Array = value) =>
      plan({ checks: [], operations: [put('a', bytes)] }, known({ a: { flags } }))[0]?.flags;
    expect(flagsOf('0')).toBe(BIT);
    expect(flagsOf(BIT)).toBe('0');
    expect(flagsOf(HUGE)).toBe(String(BigInt(HUGE) - 2n ** 52n));
    expect(flagsOf(HUGE, Buffer.from('y'))).toBe(HUGE);
  });

  it('checks a key before it deletes it, for a delete-cas of an absent key succeeds', () => {
    expect(plan({ checks: [{ key: 'a', revision: at(5) }], operations: [{ type: 'delete', key: 'a' }] }, known({}))).toMatchObject([
      { verb: 'check-index', key: 'a', index: 5 },
      { verb: 'delete', key: 'a' },
    ]);
  });

  it('refuses two checks of a key that cannot both hold', () => {
    const checks = [
      { key: 'a', revision: null },
      { key: 'a', revision: at(5) },
    ];
    expect(() => plan({ checks, operations: [] }, known({}))).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
  });

  it('is weighed as it is sent', () => {
    const of = (bytes: number) => [{ verb: 'set', key: 'a', value: new Uint8Array(bytes) } as const];
    const overhead = encodeOperations(of(0)).byteLength;
    const fitting = Math.floor((MAX_BODY_BYTES - overhead) / 4) * 3;
    expect(() => requireSize(of(fitting))).not.toThrow();
    expect(() => requireSize(of(fitting + 3))).toThrow(expect.objectContaining({ code: 'VALUE_TOO_LARGE' }));
  });

  it('carries flags above 2^53 exactly, there and back', () => {
    const body = encodeOperations([{ verb: 'set', key: '"Flags":1', value, flags: HUGE }]).toString();
    expect(body).toContain(`"Flags":${HUGE}`);
    expect(decodeBody(Buffer.from(body))).toEqual([{ KV: { Verb: 'set', Key: '"Flags":1', Value: 'eA==', Flags: HUGE } }]);
  });
});
