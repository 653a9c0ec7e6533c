import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseKey } from '../../../../src/core/key.ts';
import type { StoredEntry } from '../../../../src/core/provider.ts';
import { Mirror, type MirrorView } from '../../../../src/server/cache/mirror.ts';
import { createLayout } from '../../../../src/server/store/layout.ts';
import { RenderedItems } from '../../../../src/server/store/rendered-items.ts';
import { encodeSidecar } from '../../../../src/server/store/sidecar.ts';
import { at, batch, del, entry, put } from '../stored.ts';

const layout = createLayout('n');
const KEYS = ['a', 'b'].map(parseKey);
const create = (): RenderedItems => new RenderedItems(layout, (version) => `e-${version}`);

const sidecarText = (owner: number): string =>
  Buffer.from(
    encodeSidecar({ contentType: 'text/plain', metadata: { owner: String(owner) }, lastUpdated: 'then', sequence: 1, writeId: 'w' }),
  ).toString();

const stepArbitrary = fc.record({
  does: fc.constantFrom('value', 'sidecar', 'delete', 'both', 'replace', 'keep', 'read', 'read', 'read'),
  key: fc.constantFrom(...KEYS),
  /** Which of the views kept so far is read. */
  view: fc.nat(3),
});

describe('a rendered item', () => {
  it('is what the view asked for holds, in whatever order views are read and states change', () => {
    fc.assert(
      fc.property(fc.array(stepArbitrary, { maxLength: 60 }), (steps) => {
        const mirror = new Mirror();
        const items = create();
        const views: MirrorView[] = [mirror];
        let revision = 1;
        for (const { does, key, view } of steps) {
          const [valueKey, sidecarKey] = [layout.valueKey(key), layout.sidecarKey(key)];
          revision++;
          if (does === 'value') mirror.apply(batch(revision, put(valueKey, `v${revision}`, revision)));
          if (does === 'sidecar') mirror.apply(batch(revision, put(sidecarKey, sidecarText(revision), revision)));
          if (does === 'both')
            mirror.apply(batch(revision, put(valueKey, `v${revision}`, revision), put(sidecarKey, sidecarText(revision), revision)));
          if (does === 'delete' && mirror.get(valueKey)) mirror.apply(batch(revision, del(valueKey, revision)));
          // Another history, which uses revisions again.
          if (does === 'replace') {
            mirror.replace({ revision: at(revision), entries: [entry(valueKey, `r${view}`, 1)] });
            items.clear();
          }
          if (does === 'keep') views.push(mirror.view());
          if (does !== 'read') continue;
          const read = views[view % views.length]!;
          expect(items.get(key, read)).toEqual(create().get(key, read));
        }
        for (const key of KEYS) expect(items.get(key, mirror)).toEqual(create().get(key, mirror));
      }),
      { numRuns: 500 },
    );
  });

  it('is rendered once for as long as its entries are the same', () => {
    const mirror = new Mirror();
    const items = create();
    const [a, b] = KEYS as [(typeof KEYS)[0], (typeof KEYS)[0]];
    mirror.apply(batch(1, put(layout.valueKey(a), '1', 1)));
    const first = items.get(a, mirror);
    mirror.apply(batch(2, put(layout.valueKey(b), '1', 2)));
    expect(items.get(a, mirror)).toBe(first);
    expect(items.get(a, mirror.view())).toBe(first);
    mirror.apply(batch(3, put(layout.valueKey(a), '2', 3)));
    expect(items.get(a, mirror)).not.toBe(first);
  });

  it('of the present stays when a view of the past is read', () => {
    const mirror = new Mirror();
    const items = create();
    const [a] = KEYS as [(typeof KEYS)[0]];
    mirror.apply(batch(1, put(layout.valueKey(a), '1', 1)));
    const past = mirror.view();
    mirror.apply(batch(2, put(layout.valueKey(a), '2', 2)));
    const present = items.get(a, mirror);
    expect(items.get(a, past)?.etag).toBe('e-1');
    expect(items.get(a, mirror)).toBe(present);
  });

  it('has the stored bytes themselves as its bare value', () => {
    const mirror = new Mirror();
    const [a] = KEYS as [(typeof KEYS)[0]];
    const stored: StoredEntry = { ...entry(layout.valueKey(a), '', 1), value: Uint8Array.of(9, 0xff, 0, 9).subarray(1, 3) };
    mirror.replace({ revision: at(1), entries: [stored] });
    const item = create().get(a, mirror);
    expect([...(item?.raw ?? [])]).toEqual([0xff, 0]);
    expect(item?.jsonLine.toString()).toBe(`${item?.json.toString()}\n`);
    expect(item?.kind).toBe('bytes');
  });
});

it('is rendered anew when the oldest link of the history is another one: its entity tag may be', () => {
  let link = 'e';
  const items = new RenderedItems(
    layout,
    (version) => `${link}-${version}`,
    () => link,
  );
  const [key] = KEYS;
  const mirror = new Mirror();
  mirror.load({ revision: at(5), entries: [entry(layout.valueKey(key!), '1', 5)] });
  const first = items.get(key!, mirror);
  expect([first?.etag, items.get(key!, mirror)]).toEqual(['e-5', first]);
  link = 'f';
  expect(items.get(key!, mirror)?.etag).toBe('f-5');
});
