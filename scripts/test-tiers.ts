/** Every tier of tests, in the order in which they run, with the milliseconds a single test of it may take. */
export const TEST_TIERS = {
  unit: 10_000,
  conformance: 30_000,
  model: 120_000,
  fault: 120_000,
  http: 30_000,
  e2e: 180_000,
} as const;

export type TestTier = keyof typeof TEST_TIERS;

export const TEST_TIER_NAMES = Object.keys(TEST_TIERS) as readonly TestTier[];

export function isTestTier(name: string): name is TestTier {
  return Object.hasOwn(TEST_TIERS, name);
}
