import { describe, expect, it } from 'vitest';
import { decodeKey, inOrder, rangeEnd, rangeOf, toChange, toEntry } from '../../../../src/providers/etcd/etcd-wire.ts';

const stored = (key: Buffer | string, revision = '7') => ({
  key: Buffer.from(key),
  value: Buffer.from('v'),
  mod_revision: revision,
  create_revision: '3',
  version: '2',
  lease: '0',
});

describe('keys of etcd', () => {
  it('that are UTF-8 are that text, a real replacement character too', () => {
    for (const text of ['', 'a/b', 'käse', '\0', 'a\0b', '\ufffd', '𝄞']) expect(decodeKey(Buffer.from(text))).toBe(text);
  });

  it('that are no UTF-8 stay two where they are two', () => {
    const keys = [[0xff], [0xfe], [0xc3], [0x61, 0xff], [0xff, 0x61], [0xef, 0xbf, 0xbd, 0xff]].map((bytes) =>
      decodeKey(Buffer.from(bytes)),
    );
    expect(new Set([...keys, '\ufffd']).size).toBe(keys.length + 1);
  });

  it('that had to be rewritten are put in their order again', () => {
    const entries = [stored(Buffer.of(0xc3)), stored('é')].map((kv) => toEntry(kv as never));
    expect(inOrder(entries).map(({ key }) => key)).toEqual(['é', '\udcc3']);
  });
});

describe('a range of etcd', () => {
  it('ends at the least key above every one of the prefix', () => {
    expect(rangeEnd(Buffer.from('a/'))).toEqual(Buffer.from('a0'));
    expect(rangeEnd(Buffer.of(0x61, 0xff))).toEqual(Buffer.from('b'));
    expect(rangeEnd(Buffer.of(0xff, 0xff))).toEqual(Buffer.of(0));
  });

  it('of no prefix is the whole store', () => {
    expect(rangeOf('')).toEqual({ key: Buffer.of(0), range_end: Buffer.of(0) });
  });
});

describe('numbers of etcd', () => {
  it('are exact up to 2^53 - 1, and refused above it', () => {
    expect(toEntry(stored('a', '9007199254740991') as never).revision).toBe(9_007_199_254_740_991);
    for (const revision of ['9007199254740992', '9223372036854775807', '-1', '1.5', '', 'x']) {
      expect(() => toEntry(stored('a', revision) as never), revision).toThrow(expect.objectContaining({ code: 'PROTOCOL' }) as Error);
      expect(() => toChange({ type: 'Delete', kv: stored('a', revision) } as never), revision).toThrow();
    }
  });

  it('of a deletion are its own', () => {
    expect(toChange({ type: 'Delete', kv: stored('a', '9') } as never)).toEqual({ type: 'delete', key: 'a', revision: 9 });
  });
});
