import { defineConfig } from 'vitest/config';

import { TEST_TIERS } from './scripts/test-tiers.ts';

export default defineConfig({
  test: {
    // Two cores are what CI has; tests that measure nothing share them well.
    maxWorkers: 2,
    // A verdict that is cut short names no bug.
    chaiConfig: { truncateThreshold: 2_000 },
    // CommonJS packages look in tests as they do in Node: the default import is `module.exports`.
    deps: { interopDefault: false },
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'], reportsDirectory: 'coverage' },
    projects: Object.entries(TEST_TIERS).map(([name, testTimeout]) => ({
      extends: true as const,
      test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout },
    })),
  },
});
