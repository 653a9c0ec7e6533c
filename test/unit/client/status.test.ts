import { expect, test } from 'vitest';
import { isNewStatus, type ClientStatus } from '../../../src/client/status.ts';

const connecting = (attempt: number): ClientStatus => ({ state: 'connecting', attempt });
const live = (revision: number): ClientStatus => ({ state: 'live', revision, since: new Date(0) });
const stale = (source: 'memory' | 'defaults', cause: unknown): ClientStatus => ({
  state: 'stale',
  source,
  revision: 1,
  since: new Date(0),
  cause,
});

test.each<readonly [string, ClientStatus, ClientStatus, boolean]>([
  ['another state', live(1), { state: 'closed' }, true],
  ['another attempt', connecting(1), connecting(2), true],
  ['the same attempt', connecting(1), connecting(1), false],
  ['another revision', live(1), live(2), false],
  ['another source', stale('defaults', 1), stale('memory', 1), true],
  ['a further failure of the same outage', stale('memory', 1), stale('memory', 2), false],
])('%s is news to listeners or not', (_what, before, after, isNews) => {
  expect(isNewStatus(before, after)).toBe(isNews);
});
