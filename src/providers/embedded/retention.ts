import type { Revision } from '../../core/provider.ts';
import type { VersionStore } from './version-store.ts';

export interface RetentionOptions {
  /** Revisions kept for watches and past lists, and up to 64 more. Default 10,000. */
  readonly historyLimit?: number;
  /** Bytes of the keys and values written in them: older revisions go first, though fewer than `historyLimit` stay. Default 256 MiB. */
  readonly historyBytes?: number;
}

const DEFAULTS: Required<RetentionOptions> = Object.freeze({ historyLimit: 10_000, historyBytes: 256 * 1024 * 1024 });

export function resolveRetention(options: RetentionOptions): Required<RetentionOptions> {
  return { historyLimit: options.historyLimit ?? DEFAULTS.historyLimit, historyBytes: options.historyBytes ?? DEFAULTS.historyBytes };
}

/** How much of the past is kept: the revisions after `compacted` up to `head`, and the bytes written in them. */
export interface History {
  readonly head: Revision;
  readonly compacted: Revision;
  readonly bytes: number;
}

/** Revisions forgotten together: forgotten one by one, each would have every commit rewrite old pages too. */
const TOGETHER = 64;

/** Below this limit they are forgotten one by one all the same. */
const SMALL_LIMIT = 512;

/** Versions looked at beyond those a group adds: those of {@link TOGETHER} changes made through Attune, three each, and some more. */
const CATCH_UP_VERSIONS = 256;

/**
 * Forgets what is over the limits once it is {@link TOGETHER} revisions: no commit pays for many. Part of the transaction that is open; the
 * newest revision always stays.
 */
export function trimHistory(store: VersionStore, history: History, added: number, limits: Required<RetentionOptions>): History {
  const { head, compacted } = history;
  let to = compacted;
  let { bytes } = history;
  const isOver = (): boolean => head - to > limits.historyLimit || bytes > limits.historyBytes;
  const slack = limits.historyLimit < SMALL_LIMIT ? 0 : TOGETHER;
  if (head - compacted <= limits.historyLimit + slack && bytes <= limits.historyBytes) return history;
  for (const size of store.sizes(compacted, added + CATCH_UP_VERSIONS)) {
    if (!isOver() || size.revision >= head) break;
    to = size.revision;
    bytes -= size.bytes;
  }
  if (to > compacted) store.compact(compacted, to);
  return { head, compacted: to, bytes };
}
