import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { appendLink, extendsChain, MAX_EPOCH_LINKS, type EpochChain } from '../../core/epoch.ts';
import {
  ConflictError,
  isAttuneError,
  parseRevision,
  UnavailableError,
  type ConfigProvider,
  type Revision,
  type StoredEntry,
  type StoredSnapshot,
} from '../../core/provider.ts';
import type { AppliedBatch } from '../cache/mirror.ts';
import type { HistoryGuard } from '../cache/history-guard.ts';

/** The newest link is stored without `from`: it is the revision of the commit that wrote it. */
const chainSchema = z.object({ chain: z.array(z.object({ id: z.string().regex(/^[A-Za-z0-9_]{1,32}$/), from: z.int().nonnegative().optional() })) });

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The chain stored in `entry`; empty if there is none or it cannot be read. */
export function parseChain(entry: StoredEntry | undefined): EpochChain {
  if (!entry) return [];
  try {
    const { chain } = chainSchema.parse(JSON.parse(decoder.decode(entry.value)));
    return chain.map((link) => ({ id: link.id, from: link.from === undefined ? entry.revision : parseRevision(link.from) }));
  } catch {
    return [];
  }
}

function encodeChain(known: EpochChain, id: string): Uint8Array {
  const { links } = appendLink(known, id);
  return encoder.encode(JSON.stringify({ chain: links.map((link) => (link.id === id ? { id } : { id: link.id, from: link.from })) }));
}

/** Epoch ids are random, so that no two histories share one. */
const newEpochId = (): string => randomBytes(8).toString('hex');

/**
 * Keeps the epoch chain in the store and this node's copy of it: the mark by which a node tells its history from a restored,
 * wiped or replaced one (`design/store.md` section 3).
 */
export class EpochKeeper implements HistoryGuard {
  readonly keys: readonly string[];
  readonly #provider: ConfigProvider;
  readonly #epochKey: string;
  #chain: EpochChain = [];
  #ownId: string | undefined;

  constructor(provider: ConfigProvider, epochKey: string) {
    this.#provider = provider;
    this.#epochKey = epochKey;
    this.keys = [epochKey];
  }

  /** The chain as the store last showed it; empty until the node is live. */
  get chain(): EpochChain {
    return this.#chain;
  }

  /** Appends a link of this node to whatever chain the store holds. */
  async join(signal: AbortSignal): Promise<Revision> {
    return this.#write(signal, (stored) => stored);
  }

  /**
   * After a rollback or a wipe: adopts a chain that another node began since (it shares no link with ours), else begins a fresh one.
   * A chain that still holds a known link is the old one, restored.
   */
  async renew(signal: AbortSignal): Promise<Revision> {
    const known = new Set(this.#chain.map((link) => link.id));
    return this.#write(signal, (stored) => (stored.length > 0 && !stored.some((link) => known.has(link.id)) ? undefined : []));
  }

  continues(batch: AppliedBatch): boolean {
    const change = batch.changes.findLast((candidate) => candidate.key === this.#epochKey);
    // A first watch begins in the past: marks older than this node's own are no news.
    if (!change || change.revision < (this.#chain.at(-1)?.from ?? 0)) return true;
    return this.#take(change.after);
  }

  accepts(snapshot: StoredSnapshot): boolean {
    return this.#take(snapshot.entries.find((entry) => entry.key === this.#epochKey));
  }

  /** Takes over the chain in `entry` if it continues the known one. */
  #take(entry: StoredEntry | undefined): boolean {
    const next = parseChain(entry);
    if (next.length === 0 || !extendsChain(this.#chain, next)) return false;
    this.#chain = next;
    return true;
  }

  /** Commits the chain that `base` wants continued by a new link; undefined adopts the stored one as it is. */
  async #write(signal: AbortSignal, base: (stored: EpochChain) => EpochChain | undefined): Promise<Revision> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const snapshot = await this.#provider.read([this.#epochKey], { signal });
      const entry = snapshot.entries[0];
      const stored = parseChain(entry);
      // A commit of ours whose reply was lost shows here.
      const isOurs = this.#ownId !== undefined && stored.at(-1)?.id === this.#ownId;
      const continued = isOurs ? undefined : base(stored);
      if (entry && continued === undefined) {
        this.#chain = stored;
        this.#ownId = undefined;
        return entry.revision;
      }
      this.#ownId = newEpochId();
      try {
        const revision = await this.#provider.commit(
          {
            checks: [{ key: this.#epochKey, revision: entry?.revision ?? null }],
            operations: [{ type: 'put', key: this.#epochKey, value: encodeChain(continued ?? [], this.#ownId) }],
          },
          { signal },
        );
        this.#chain = [...(continued ?? []), { id: this.#ownId, from: revision }].slice(-MAX_EPOCH_LINKS);
        this.#ownId = undefined;
        return revision;
      } catch (error) {
        if (!(error instanceof ConflictError) && !isAttuneError(error, 'CONFLICT') && !isAttuneError(error, 'OUTCOME_UNKNOWN')) throw error;
      }
    }
    throw new UnavailableError(`the epoch key ${this.#epochKey} is written by others again and again`);
  }
}
