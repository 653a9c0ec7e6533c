import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatSnapshot, parseSnapshot } from '../../../../src/client/node/snapshot-format.ts';
import { knownState } from './known-state.ts';

const key = createSecretKey(randomBytes(32));
const state = knownState(7);

const sealPlain = (payload: string): string =>
  `{"attuneSnapshot":1,"sha256":"${createHash('sha256').update(payload).digest('hex')}","payload":${payload}}\n`;

const item = { key: 'app/a', version: 1, value: 1, contentType: 'application/json', metadata: {} };

describe.each([
  ['plain', undefined],
  ['encrypted', key],
])('a snapshot, %s', (_name, key) => {
  it('reads as it was written', () => {
    expect(parseSnapshot(formatSnapshot(['app/'], state, key), ['app/'], key)).toEqual(state);
    const empty = { savedAt: 0.5, revision: 0, items: [] };
    expect(parseSnapshot(formatSnapshot([''], empty, key), [''], key)).toEqual(empty);
  });

  it('is JSON on one line', () => {
    const text = formatSnapshot(['app/'], state, key);
    expect(JSON.parse(text)).toMatchObject({ attuneSnapshot: 1 });
    expect(text.indexOf('\n')).toBe(text.length - 1);
  });

  it('is of the same prefixes in any order, and of no others', () => {
    const text = formatSnapshot(['app/', 'billing/'], state, key);
    expect(parseSnapshot(text, ['billing/', 'app/'], key)).toEqual(state);
    for (const prefixes of [['app/'], ['app/', 'billing'], ['app/', 'billing/', 'x/'], ['']]) {
      expect(() => parseSnapshot(text, prefixes, key)).toThrow(/^it is of the prefix 'app\/', 'billing\/', this client's is /);
    }
  });

  it('is refused whichever byte is changed, and however', () => {
    const bytes = Buffer.from(formatSnapshot(['app/'], state, key));
    for (let index = 0; index < bytes.length; index++) {
      for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ flip;
        expect(() => parseSnapshot(changed.toString('utf8'), ['app/'], key)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
      }
    }
  });

  it('is refused wherever it is cut off, or goes on', () => {
    const text = formatSnapshot(['app/'], state, key);
    for (let length = 0; length < text.length; length++) {
      expect(() => parseSnapshot(text.slice(0, length), ['app/'], key)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
    }
    for (const more of ['\n', ' ', '}', '}\n', text]) {
      expect(() => parseSnapshot(text + more, ['app/'], key)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
    }
  });

  it('of another version is refused by its number', () => {
    const text = formatSnapshot(['app/'], state, key).replace('"attuneSnapshot":1', '"attuneSnapshot":2');
    expect(() => parseSnapshot(text, ['app/'], key)).toThrow('it is of version 2, this SDK reads version 1');
  });
});

describe('an encrypted snapshot', () => {
  it('shows nothing of what is in it', () => {
    const text = formatSnapshot(['app/'], state, key);
    for (const secret of ['app/key-0', 'revision', 'metadata']) expect(text).not.toContain(secret);
  });

  it('never looks the same twice', () => {
    expect(formatSnapshot(['app/'], state, key)).not.toBe(formatSnapshot(['app/'], state, key));
  });

  it('is refused with another key, and without one', () => {
    const text = formatSnapshot(['app/'], state, key);
    expect(() => parseSnapshot(text, ['app/'], createSecretKey(randomBytes(32)))).toThrow(
      'it was encrypted with another key, or was changed',
    );
    expect(() => parseSnapshot(text, ['app/'], undefined)).toThrow('it is encrypted, and no encryptionKey is given');
  });

  it('is not replaced by one that is not', () => {
    expect(() => parseSnapshot(formatSnapshot(['app/'], state, undefined), ['app/'], key)).toThrow('it is not encrypted');
  });

  it('is refused with a shortened tag, which would be easier to guess', () => {
    const text = formatSnapshot(['app/'], state, key);
    const tag = Buffer.from((JSON.parse(text) as { tag: string }).tag, 'base64');
    const shortened = text.replace(/"tag":"[^"]*"/, `"tag":"${tag.subarray(0, 12).toString('base64')}"`);
    expect(() => parseSnapshot(shortened, ['app/'], key)).toThrow('it was cut off or changed');
  });
});

describe('a payload with a true checksum', () => {
  const payload = { prefixes: ['app/'], savedAt: 1, revision: 1, items: [item] };

  it('is read', () => {
    expect(parseSnapshot(sealPlain(JSON.stringify(payload)), ['app/'], undefined)).toEqual({ savedAt: 1, revision: 1, items: [item] });
  });

  it.each([
    ['no JSON', 'nonsense'],
    ['no object', '[]'],
    ['no prefixes', JSON.stringify({ ...payload, prefixes: undefined })],
    ['a prefix that is no text', JSON.stringify({ ...payload, prefixes: [1] })],
    ['no time', JSON.stringify({ ...payload, savedAt: 'yesterday' })],
    ['no revision', JSON.stringify({ ...payload, revision: -1 })],
    ['no items', JSON.stringify({ ...payload, items: {} })],
    ['an item that is none', JSON.stringify({ ...payload, items: [null] })],
    ['an item of another prefix', JSON.stringify({ ...payload, items: [{ ...item, key: 'other/a' }] })],
    ['an item without a value', JSON.stringify({ ...payload, items: [{ ...item, value: undefined }] })],
    ['an item without a version', JSON.stringify({ ...payload, items: [{ ...item, version: 1.5 }] })],
    ['an item without a type', JSON.stringify({ ...payload, items: [{ ...item, contentType: 1 }] })],
    ['an item without metadata', JSON.stringify({ ...payload, items: [{ ...item, metadata: [] }] })],
  ])('and %s is refused', (_name, payload) => {
    expect(() => parseSnapshot(sealPlain(payload), ['app/'], undefined)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
  });
});

it('has room for a large state', () => {
  const large = { ...state, items: [{ ...item, value: 'x'.repeat(40_000_000) }] };
  for (const one of [undefined, key]) {
    expect(parseSnapshot(formatSnapshot(['app/'], large, one), ['app/'], one).items[0]?.value).toHaveLength(40_000_000);
  }
});
