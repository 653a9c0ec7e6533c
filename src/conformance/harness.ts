import type { ConfigProvider, Revision } from '../core/provider.ts';

/**
 * What a case runs against, made afresh for every case. Each key a case writes starts with `prefix`, or with `prefix` less its final
 * slash (a few cases write beside it, as Attune does with history); a watch is opened only at or below `prefix`.
 */
export interface ConformanceHarness {
  /** Open. The case may close it. */
  readonly provider: ConfigProvider;
  /** Ends in `/`; nothing in the store starts with it less the slash, and nobody else writes there. */
  readonly prefix: string;
  /** How long a case waits for what must come before it fails. Default 10 000 ms. */
  readonly timeoutMs?: number;
  /** Forgets the history up to and with `revision`, as an operator does. Absent where a store has no such thing. */
  compact?(revision: Revision): Promise<void>;
  /** Closes the provider and opens the same store again, as a restart does. Absent where a store lives in memory. */
  reopen?(): Promise<ConfigProvider>;
  /** Closes what is open and removes what was written. */
  dispose(): Promise<void>;
}

/** A capability of the harness, not of the provider, that a case cannot do without. */
export type HarnessFeature = 'compact' | 'reopen';

/** The promises a case can show to be broken. The first part is the list of the design, the rest is the contract's own. */
export const GUARANTEES = [
  'Ordered',
  'Unique',
  'Atomic',
  'Reliable',
  'Resumable',
  'NoSilentLoss',
  'Bookmarkable',
  'ReadYourWrites',
  'MonotonicReads',
  'Converges',
  'ConditionalWrite',
  'NeverUnknow',
  'ByteOrder',
  'ByteExact',
  'Versioned',
  'Immutable',
  'PastReads',
  'Durable',
  'Limits',
  'TypedErrors',
  'CleanStop',
] as const;

export type Guarantee = (typeof GUARANTEES)[number];

export interface ConformanceCase {
  readonly guarantee: Guarantee;
  /** A rule in the present tense. */
  readonly name: string;
  /** A runner leaves the case out where its harness lacks one of these. */
  readonly needs: readonly HarnessFeature[];
  /** Rejects if the rule is broken. */
  run(harness: ConformanceHarness): Promise<void>;
}

export interface ConformanceArea {
  readonly area: string;
  readonly cases: readonly ConformanceCase[];
}
