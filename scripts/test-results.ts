import { z } from 'zod';

/** What one tier of tests came to. */
export interface TestResults {
  readonly passed: number;
  /** Failed tests, and what failed without being a test: a file that does not load, an error nobody handled. */
  readonly failed: number;
  /** Tests that were skipped or are still to be written: they prove nothing, so a run with one is not green. */
  readonly skipped: number;
}

// The part of vitest's JSON report (jest's format) that is read here.
const VITEST_REPORT = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      status: z.enum(['passed', 'failed']),
      assertionResults: z.array(z.object({ status: z.enum(['passed', 'failed', 'skipped', 'pending', 'todo', 'disabled']) })),
    }),
  ),
});

/**
 * Counts a report written by vitest's JSON reporter; `exitCode` is the run's own. Never greener than the run: what the report does
 * not explain counts as one failure.
 */
export function countTestResults(reportText: string, exitCode: number | null): TestResults {
  const report = VITEST_REPORT.parse(JSON.parse(reportText));
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of report.testResults) {
    const statuses = file.assertionResults.map(({ status }) => status);
    const failedTests = statuses.filter((status) => status === 'failed').length;
    const passedTests = statuses.filter((status) => status === 'passed').length;
    passed += passedTests;
    failed += failedTests === 0 && file.status === 'failed' ? 1 : failedTests;
    skipped += statuses.length - passedTests - failedTests;
  }
  if (failed === 0 && (exitCode !== 0 || !report.success)) failed = 1;
  return { passed, failed, skipped };
}

/** What a tier comes to whose run left no report: it crashed, or it had no test. */
export const NO_TEST_RESULTS: TestResults = Object.freeze({ passed: 0, failed: 1, skipped: 0 });

/** True if every test ran and passed, and there was one. */
export function isGreen(results: TestResults): boolean {
  return results.passed > 0 && results.failed === 0 && results.skipped === 0;
}

export function sumTestResults(tiers: Iterable<TestResults>): TestResults {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const tier of tiers) {
    passed += tier.passed;
    failed += tier.failed;
    skipped += tier.skipped;
  }
  return { passed, failed, skipped };
}

/** The line that ends a run of CI: `N passed, N failed`. */
export function formatTestTotal(results: TestResults): string {
  return `${results.passed} passed, ${results.failed} failed`;
}
