/**
 * The provider contract in executable form, for whoever writes a provider or a wrapper of one. It knows no test runner:
 *
 * ```ts
 * import { conformanceAreas } from 'attune/conformance';
 *
 * for (const { area, cases } of conformanceAreas({ compact: false, reopen: true })) {
 *   describe(area, () => {
 *     for (const { guarantee, name, run } of cases) {
 *       it(`${guarantee}: ${name}`, async () => {
 *         const harness = await createHarness();
 *         try {
 *           await run(harness);
 *         } finally {
 *           await harness.dispose();
 *         }
 *       });
 *     }
 *   });
 * }
 * ```
 *
 * A provider that passes every case keeps the contract as far as it can be shown from outside. Differences between stores are told
 * by `capabilities`; each case holds both kinds to what they promise.
 */
import { calls } from './calls.ts';
import { checks } from './checks.ts';
import { durability } from './durability.ts';
import type { ConformanceArea, HarnessFeature } from './harness.ts';
import { lifeCycle } from './life-cycle.ts';
import { limits } from './limits.ts';
import { pastLists } from './past-lists.ts';
import { reads } from './reads.ts';
import { transactions } from './transactions.ts';
import { watchDelivery } from './watch-delivery.ts';
import { watchEnd } from './watch-end.ts';
import { watchProgress } from './watch-progress.ts';
import { watchResume } from './watch-resume.ts';
import { writes } from './writes.ts';

export {
  GUARANTEES,
  type ConformanceArea,
  type ConformanceCase,
  type ConformanceHarness,
  type Guarantee,
  type HarnessFeature,
} from './harness.ts';

const ALL_AREAS: readonly ConformanceArea[] = [
  reads,
  writes,
  checks,
  transactions,
  watchDelivery,
  watchResume,
  watchProgress,
  watchEnd,
  pastLists,
  calls,
  limits,
  lifeCycle,
  durability,
];

/** Every case that a harness with these features can run, by area. */
export function conformanceAreas(features: Readonly<Record<HarnessFeature, boolean>>): readonly ConformanceArea[] {
  return ALL_AREAS.map(({ area, cases }) => ({
    area,
    cases: cases.filter(({ needs }) => needs.every((feature) => features[feature])),
  })).filter(({ cases }) => cases.length > 0);
}
