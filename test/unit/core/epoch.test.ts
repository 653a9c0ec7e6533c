import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { appendLink, cursorAt, epochOf, extendsChain, isCovered, MAX_EPOCH_LINKS, type EpochChain } from '../../../src/core/epoch.ts';
import type { Revision } from '../../../src/core/revision.ts';

const at = (revision: number): Revision => revision as Revision;
const link = (id: string, from: number): EpochChain[number] => ({ id, from: at(from) });

/** Chains as nodes make them: each start's link begins at a later revision. */
const chain = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }).map((steps) =>
  steps.map((_, index) =>
    link(
      `e${index}`,
      steps.slice(0, index + 1).reduce((sum, step) => sum + step, 0),
    ),
  ),
);

describe('epochOf', () => {
  it('names the last link that begins at or before the revision; the first one also covers what was before it', () => {
    const three = [link('a', 5), link('b', 10), link('c', 20)];
    expect([0, 4, 5, 9, 10, 19, 20, 21, 1_000].map((revision) => epochOf(three, at(revision)))).toEqual([
      'a',
      'a',
      'a',
      'a',
      'b',
      'b',
      'c',
      'c',
      'c',
    ]);
  });

  it('names nothing without a chain', () => {
    expect(epochOf([], at(1))).toBe('');
    expect(isCovered([], { epoch: '', revision: at(1) })).toBe(false);
  });
});

describe('a cursor of a chain', () => {
  it('is covered by that chain', () => {
    fc.assert(
      fc.property(chain, fc.nat({ max: 200 }), (links, revision) => {
        expect(isCovered(links, cursorAt(links, at(revision)))).toBe(true);
      }),
    );
  });

  it('stays covered when nodes start later', () => {
    fc.assert(
      fc.property(chain, fc.nat({ max: 200 }), fc.integer({ min: 1, max: 50 }), (links, revision, step) => {
        const head = Math.max(revision, links.at(-1)?.from ?? 0);
        const longer = [...links, link('later', head + step)];
        expect(isCovered(longer, cursorAt(links, at(revision)))).toBe(true);
      }),
    );
  });

  it('is not covered once a restored store went another way from before its revision', () => {
    const known = [link('a', 5), link('b', 10)];
    const restored = [link('a', 5), link('x', 9)];
    expect(isCovered(restored, cursorAt(known, at(8)))).toBe(true);
    expect(isCovered(restored, cursorAt(known, at(9)))).toBe(false);
    expect(isCovered(restored, cursorAt(known, at(12)))).toBe(false);
  });

  it('is not covered by a chain that names another epoch for its revision', () => {
    expect(isCovered([link('a', 5), link('b', 10)], { epoch: 'a', revision: at(10) })).toBe(false);
    expect(isCovered([link('a', 5), link('b', 10)], { epoch: 'b', revision: at(9) })).toBe(false);
  });
});

describe('extendsChain', () => {
  it('holds for a chain and what nodes append to it', () => {
    fc.assert(
      fc.property(chain, fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }), (links, steps) => {
        let last: number = links.at(-1)?.from ?? 0;
        const next = [...links, ...steps.map((step, index) => link(`n${index}`, (last += step)))];
        expect(extendsChain(links, next)).toBe(true);
        expect(extendsChain(links, next.slice(links.length - 1))).toBe(true);
        if (steps.length > 0) expect(extendsChain(next, links)).toBe(false);
      }),
    );
  });

  it('holds for a node that knows nothing yet', () => {
    expect(extendsChain([], [link('a', 1)])).toBe(true);
    expect(extendsChain([], [])).toBe(true);
  });

  it.each([
    ['the newest known link is gone', [link('a', 1), link('b', 5)], [link('a', 1)]],
    ['another link stands in its place', [link('a', 1), link('b', 5)], [link('a', 1), link('x', 5)]],
    ['a known link begins elsewhere', [link('a', 1), link('b', 5)], [link('a', 1), link('b', 6)]],
    ['an older link differs', [link('a', 1), link('b', 5)], [link('x', 1), link('b', 5), link('c', 9)]],
    ['nothing is left', [link('a', 1)], []],
  ])('fails when %s', (_, known, next) => {
    expect(extendsChain(known, next)).toBe(false);
  });

  it('holds when the oldest links were trimmed', () => {
    const known = [link('a', 1), link('b', 2), link('c', 3)];
    expect(extendsChain(known, [link('b', 2), link('c', 3), link('d', 4)])).toBe(true);
    expect(extendsChain(known, [link('c', 3)])).toBe(true);
  });
});

describe('appendLink', () => {
  it(`keeps the newest ${MAX_EPOCH_LINKS}`, () => {
    const full = Array.from({ length: MAX_EPOCH_LINKS }, (_, index) => link(`e${index}`, index));
    const { links } = appendLink(full, 'new');
    expect(links).toHaveLength(MAX_EPOCH_LINKS);
    expect(links[0]?.id).toBe('e1');
    expect(links.at(-1)?.id).toBe('new');
  });
});
