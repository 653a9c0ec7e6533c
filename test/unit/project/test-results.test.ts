import { describe, expect, it } from 'vitest';

import { countTestResults, formatTestTotal, isGreen, NO_TEST_RESULTS, sumTestResults } from '../../../scripts/test-results.ts';

type Status = 'passed' | 'failed' | 'skipped' | 'todo';

const file = (status: 'passed' | 'failed', ...tests: readonly Status[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});
const report = (success: boolean, ...testResults: readonly unknown[]): string => JSON.stringify({ success, testResults });

describe('countTestResults', () => {
  it('counts what passed and what failed over all files', () => {
    const text = report(false, file('passed', 'passed', 'passed'), file('failed', 'passed', 'failed'));
    expect(countTestResults(text, 1)).toEqual({ passed: 3, failed: 1, skipped: 0 });
  });

  it('counts a file that does not load as a failure', () => {
    expect(countTestResults(report(false, file('passed', 'passed'), file('failed')), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it('counts an error outside of tests as a failure', () => {
    expect(countTestResults(report(true, file('passed', 'passed')), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(countTestResults(report(false, file('passed', 'passed')), 0)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(countTestResults(report(true, file('passed', 'passed')), null)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  it('counts a skipped test and one still to be written as neither', () => {
    expect(countTestResults(report(true, file('passed', 'passed', 'skipped', 'todo')), 0)).toEqual({ passed: 1, failed: 0, skipped: 2 });
  });

  it('refuses a report it does not understand', () => {
    expect(() => countTestResults('{"success":true}', 0)).toThrow('testResults');
  });
});

describe('isGreen', () => {
  it('is true only if there was a test and every one ran and passed', () => {
    expect(isGreen({ passed: 1, failed: 0, skipped: 0 })).toBe(true);
    expect(isGreen({ passed: 1, failed: 1, skipped: 0 })).toBe(false);
    expect(isGreen({ passed: 1, failed: 0, skipped: 1 })).toBe(false);
    expect(isGreen({ passed: 0, failed: 0, skipped: 0 })).toBe(false);
    expect(isGreen(NO_TEST_RESULTS)).toBe(false);
  });
});

describe('the total', () => {
  it('is the sum over the tiers, on a line of its own form', () => {
    const total = sumTestResults([
      { passed: 3, failed: 1, skipped: 0 },
      { passed: 4, failed: 0, skipped: 2 },
    ]);
    expect(total).toEqual({ passed: 7, failed: 1, skipped: 2 });
    expect(formatTestTotal(total)).toBe('7 passed, 1 failed');
  });
});
