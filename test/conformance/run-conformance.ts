import { describe, it } from 'vitest';
import { conformanceAreas, type ConformanceHarness, type HarnessFeature } from '../../src/conformance/index.ts';

/** One test per case, each over a harness of its own. */
export function runConformance(
  features: Readonly<Record<HarnessFeature, boolean>>,
  createHarness: () => Promise<ConformanceHarness>,
): void {
  for (const { area, cases } of conformanceAreas(features)) {
    describe(area, () => {
      for (const { guarantee, name, run } of cases) {
        it(`${guarantee}: ${name}`, async () => {
          const harness = await createHarness();
          try {
            await run(harness);
          } finally {
            await harness.dispose();
          }
        });
      }
    });
  }
}
