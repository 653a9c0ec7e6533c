import { describe, expect, it } from 'vitest';
import { parseKey } from '../../../../src/core/key.ts';
import { readItem, type ItemState } from '../../../../src/server/store/item-state.ts';
import { renderItem, renderValue } from '../../../../src/server/store/render-item.ts';
import { encodeSidecar, parseSidecar, type Sidecar } from '../../../../src/server/store/sidecar.ts';
import { entry } from '../stored.ts';

const sidecarOf = (overrides: Partial<Sidecar>): Sidecar => ({
  contentType: 'application/json',
  metadata: { owner: 'ann' },
  lastUpdated: '2026-11-20T10:00:00.000Z',
  updatedBy: 'ann',
  sequence: 3,
  writeId: 'w',
  ...overrides,
});

const read = (value: string | Uint8Array, sidecar?: Partial<Sidecar> | string, sidecarRevision = 7): ItemState =>
  readItem(
    parseKey('k'),
    entry('ns/k', value, 7, 2),
    sidecar === undefined
      ? undefined
      : entry('ns/.attune/meta/k', typeof sidecar === 'string' ? sidecar : encodeSidecar(sidecarOf(sidecar)), sidecarRevision),
  );

describe('a value with its own sidecar', () => {
  it('is what the sidecar says', () => {
    expect(read('{"a":1}', {})).toMatchObject({
      kind: 'json',
      text: '{"a":1}',
      contentType: 'application/json',
      metadata: { owner: 'ann' },
      version: 7,
      createdVersion: 2,
      lastUpdated: '2026-11-20T10:00:00.000Z',
      updatedBy: 'ann',
    });
  });

  it.each(['20', 'true', 'null', '{"a":1}', '[]', '"x"', '1.10', ''])('is text if the sidecar says so, whatever its bytes: %s', (value) => {
    const item = read(value, { contentType: 'text/plain' });
    expect(item).toMatchObject({ kind: 'text', text: value, contentType: 'text/plain' });
    expect(renderValue(item)).toBe(JSON.stringify(value));
  });
});

describe('a value written over by another tool', () => {
  it('keeps metadata and content type, and does not say who or when', () => {
    const item = read('{"a":2}', {}, 5);
    expect(item).toMatchObject({ kind: 'json', contentType: 'application/json', metadata: { owner: 'ann' }, lastUpdated: null });
    expect(item).not.toHaveProperty('updatedBy');
  });

  it('is answered as text if it should be JSON and does not parse', () => {
    expect(read('{"a":', {}, 5)).toMatchObject({ kind: 'text', text: '{"a":', contentType: 'text/plain' });
  });

  it('stays text if the item is text, also if it looks like JSON', () => {
    expect(read('{"a":1}', { contentType: 'application/yaml' }, 5)).toMatchObject({ kind: 'text', contentType: 'application/yaml' });
  });

  it('is JSON, not inferred, if the item is JSON: 1.10 is a number then', () => {
    expect(read('1.10', {}, 5)).toMatchObject({ kind: 'json', text: '1.10' });
  });

  it('is bytes if it is not UTF-8, whatever the sidecar says', () => {
    for (const contentType of ['application/json', 'text/plain']) {
      expect(read(Uint8Array.of(0xff, 0x00, 0x61), { contentType }, 5)).toMatchObject({
        kind: 'bytes',
        text: '/wBh',
        contentType: 'application/octet-stream',
      });
    }
  });

  it('is inferred again if the item was bytes', () => {
    expect(read('{"a":1}', { contentType: 'application/octet-stream' }, 5)).toMatchObject({ kind: 'json' });
    expect(read('hello', { contentType: 'application/octet-stream' }, 5)).toMatchObject({ kind: 'text', contentType: 'text/plain' });
  });
});

describe('a value without a sidecar', () => {
  it.each([
    ['{"a":1}', 'json'],
    ['20', 'json'],
    ['1.10', 'text'],
    ['hello', 'text'],
    ['', 'text'],
  ])('%j is inferred to be %s', (value, kind) => {
    expect(read(value)).toMatchObject({ kind, text: value, metadata: {}, lastUpdated: null, version: 7, createdVersion: 2 });
  });

  it('borrows nothing from a tombstone', () => {
    const item = read('hello', { deleted: true, contentType: 'application/yaml' }, 5);
    expect(item).toMatchObject({ contentType: 'text/plain', metadata: {}, lastUpdated: null });
    expect(item).not.toHaveProperty('updatedBy');
  });

  it('borrows nothing from a tombstone of its own revision either', () => {
    expect(read('hello', { deleted: true }, 7)).toMatchObject({ metadata: {}, lastUpdated: null });
  });

  it.each([
    '',
    'x',
    '{}',
    '[]',
    'null',
    '{"contentType":1}',
    '{"contentType":"a","metadata":{"a":1},"lastUpdated":"x","sequence":1,"writeId":"w"}',
  ])('stands for itself beside a sidecar that somebody broke: %s', (broken) => {
    expect(read('20', broken)).toMatchObject({ kind: 'json', metadata: {}, lastUpdated: null });
  });
});

describe('a sidecar', () => {
  it('is read back as it was written, with every name metadata can have', () => {
    const sidecar = sidecarOf({
      metadata: Object.fromEntries([
        ['constructor', 'y'],
        ['toString', 'z'],
        ['é\n', '😀'],
      ]),
      comment: 'why',
    });
    const back = parseSidecar(entry('s', encodeSidecar(sidecar), 1));
    expect(back).toEqual(sidecar);
    expect(Object.entries(back?.metadata ?? {})).toHaveLength(3);
  });
});

describe('renderItem', () => {
  it('splices stored JSON in verbatim', () => {
    const text = '{"n":9007199254740993,"d":1.10,"e":1e3,"b":1,"a":2,"b2":"\\u0041\\/"}';
    expect(renderItem(read(text, {}), 'e-7')).toContain(`"value":${text},`);
  });

  it('is one line that parses, whatever the outside writer’s line breaks were', () => {
    const rendered = renderItem(read('{\r\n  "a": [\n 1.10,\r 2 ]\n}\n'), 'e-7');
    expect(rendered).not.toMatch(/[\r\n]/);
    expect(JSON.parse(rendered)).toMatchObject({ value: { a: [1.1, 2] } });
    expect(rendered).toContain('1.10');
  });
});
