import type { Scenario } from '../support/bench.ts';
import { coldStart } from './cold-start.ts';
import { failover } from './failover.ts';
import { fanOut } from './fan-out.ts';
import { filters } from './filters.ts';
import { getItem } from './get-item.ts';
import { getNotModified } from './get-304.ts';
import { list } from './list.ts';
import { longPolls } from './long-polls.ts';
import { memoryKeys } from './memory-keys.ts';
import { memoryStreams } from './memory-streams.ts';
import { propagation } from './propagation.ts';
import { put } from './put.ts';

/** One for each row of the table of goals, in its order. */
export const SCENARIOS: readonly Scenario[] = [
  getItem,
  getNotModified,
  list,
  put,
  fanOut,
  longPolls,
  filters,
  propagation,
  memoryStreams,
  memoryKeys,
  coldStart,
  failover,
];
