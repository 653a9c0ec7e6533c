import { defineConfig } from 'vitest/config';

const tier = (name: string, testTimeout: number) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: testTimeout },
});

export default defineConfig({
  test: {
    // Two cores are what CI has; tests that measure nothing share them well.
    maxWorkers: 2,
    projects: [tier('unit', 10_000), tier('conformance', 30_000), tier('model', 120_000), tier('fault', 120_000), tier('http', 30_000), tier('e2e', 180_000)],
  },
});
