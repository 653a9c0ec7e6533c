import type { LastKnown } from '../../../../src/client/durable.ts';

/** A state of `count` items under `app/`, all told by `revision`. */
export function knownState(revision: number, count = 2): LastKnown {
  const items = Array.from({ length: count }, (_, index) => ({
    key: `app/key-${index}`,
    version: revision,
    value: { revision, text: 'ä😀\u2028"' },
    contentType: 'application/json',
    metadata: { owner: 'me' },
  }));
  return { savedAt: 1_700_000_000_000 + revision, revision, items };
}
