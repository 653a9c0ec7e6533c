import { describe, expect, it } from 'vitest';
import { drawDistributions } from '../../../bench/support/ecdf.ts';

const lineOf = (svg: string, colour: string): readonly (readonly [number, number])[] => {
  const path = new RegExp(`<path d="M([^"]+)" fill="none" stroke="${colour}"`).exec(svg)?.[1] ?? '';
  return path.split('L').map((point) => point.split(' ').map(Number) as [number, number]);
};
const BLUE = '#0072b2';
const ORANGE = '#d55e00';

describe('the picture of distributions', () => {
  it('rises from left to right and draws the faster party further to the left', () => {
    const svg = drawDistributions('run', [
      {
        title: 'a scenario',
        parties: [
          { name: 'Attune', times: [1, 2, 4, 8] },
          { name: 'bare', times: [10, 20, 40, 80] },
        ],
      },
    ]);
    const [own, bare] = [lineOf(svg, BLUE), lineOf(svg, ORANGE)];
    expect([own.length, bare.length]).toEqual([4, 4]);
    for (const line of [own, bare]) {
      expect(line.map(([x]) => x)).toEqual(line.map(([x]) => x).toSorted((a, b) => a - b));
      expect(line.map(([, y]) => y)).toEqual(line.map(([, y]) => y).toSorted((a, b) => b - a));
    }
    // A factor of ten is as far everywhere.
    const distances = own.map(([x], index) => (bare[index]?.[0] ?? 0) - x);
    expect(Math.max(...distances) - Math.min(...distances)).toBeLessThan(0.3);
    expect(distances[0]).toBeGreaterThan(100);
  });

  it('draws every time inside its panel, whatever the times are', () => {
    for (const times of [[5], [0, 0.001, 3], [7, 7, 7], [0.04, 99_999], [1, 10, 100]]) {
      const svg = drawDistributions('run', [{ title: 'a scenario', parties: [{ name: 'Attune', times }] }]);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      for (const [x, y] of lineOf(svg, BLUE)) {
        expect(x).toBeGreaterThanOrEqual(52);
        expect(x).toBeLessThanOrEqual(544);
        expect(y).toBeGreaterThanOrEqual(34);
        expect(y).toBeLessThanOrEqual(238);
      }
    }
  });

  it('leaves out what has no times, and writes names as text', () => {
    const svg = drawDistributions('a <run> & "more"', [
      { title: 'empty', parties: [{ name: 'Attune', times: [] }] },
      { title: 'PUT <1>', parties: [{ name: 'A & B', times: [1, 2] }] },
    ]);
    expect(svg).not.toContain('empty');
    expect(svg).toContain('PUT &lt;1&gt; (ms)');
    expect(svg).toContain('A &amp; B');
    expect(svg).toContain('<title>a &lt;run&gt; &amp; &quot;more&quot;</title>');
  });
});
