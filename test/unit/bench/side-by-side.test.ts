import { describe, expect, it } from 'vitest';
import { isReached, type Goal } from '../../../bench/support/result.ts';
import {
  formatSideBySide,
  formatVerdicts,
  mergeScenarios,
  type ScenarioRecord,
  type SideBySide,
} from '../../../bench/support/side-by-side.ts';

const goal = (limit: Goal['limit'], rounds: readonly number[]): Goal => ({ what: 'of the bare one', unit: 'x', limit, rounds });

const record = (name: string, more: Partial<ScenarioRecord> = {}): ScenarioRecord => ({
  name,
  title: name,
  method: 'As it is done.',
  commit: 'abc1234',
  startedAt: '2026-11-21T10:00:00.000Z',
  loadAverage: 0.25,
  tookMs: 61_000,
  rounds: 3,
  isQuick: false,
  isPinned: true,
  isProfiled: false,
  figures: [{ party: 'Attune', what: 'requests', unit: 'per second', rounds: [30_000, 31_000, 29_000] }],
  goals: [goal({ atLeast: 0.8 }, [0.7, 0.9, 0.85])],
  distributions: [],
  notes: [],
  ...more,
});

const run = (scenarios: readonly ScenarioRecord[], machine = 'this one'): SideBySide => ({
  date: '2026-11-21',
  machine,
  versions: { Node: 'v20.20.2', etcd: '3.5.30' },
  command: 'npm run bench',
  scenarios,
});

describe('the report of the bench', () => {
  it('judges by the median of the rounds, the limit itself reached', () => {
    expect(isReached(goal({ atLeast: 2 }, [0, 2, 9]))).toBe(true);
    expect(isReached(goal({ atLeast: 2 }, [1.99, 1.99, 9]))).toBe(false);
    expect(isReached(goal({ atMost: 2 }, [0, 2, 9]))).toBe(true);
    expect(isReached(goal({ atMost: 2 }, [0, 2.01, 2.01]))).toBe(false);
  });

  it('shows median, range, goal and verdict of every goal, and why there is none', () => {
    const failed = record('put', { failure: 'Consul | did not\nstart', goals: [], figures: [] });
    const text = formatSideBySide(run([record('get-item'), failed]), 'picture.svg');
    expect(text).toContain('| [get-item](#get-item) | of the bare one | 0.85 x | 0.70 x to 0.90 x | at least 0.80 x | reached |');
    expect(text).toContain('| Attune | requests | 30,000/s | 29,000/s to 31,000/s |');
    expect(text).toContain('| [put](#put) | failed: Consul \\| did not start | | | | not measured |');
    expect(text).toContain('](picture.svg)');
    expect(text).toContain('Node v20.20.2, etcd 3.5.30');
    expect(formatVerdicts(failed)).toContain('failed: Consul');
  });

  it('says of the short form and of profiles that they are no results', () => {
    const text = formatSideBySide(run([record('put', { isQuick: true, isProfiled: true, isPinned: false })]), 'picture.svg');
    expect(text).toContain('ran in the short form');
    expect(text).toContain('their figures are no results');
    expect(text).toContain('*quick, profiled, not pinned to cores*');
  });

  it('keeps what ran before on the same machine, in the order of the scenarios', () => {
    const before = run([record('get-item', { commit: 'old' }), record('put', { commit: 'old' })]);
    const now = run([record('list', { commit: 'new' }), record('get-item', { commit: 'new' })]);
    const commits = ({ scenarios }: SideBySide): readonly string[] => scenarios.map(({ name, commit }) => `${name} ${commit}`);
    const names = ['get-item', 'list', 'put'];
    expect(commits(mergeScenarios(before, now, names))).toEqual(['get-item new', 'list new', 'put old']);
    expect(commits(mergeScenarios({ ...before, machine: 'another' }, now, names))).toEqual(['get-item new', 'list new']);
    expect(commits(mergeScenarios(undefined, now, names))).toEqual(['get-item new', 'list new']);
  });
});
