import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { appendLink, extendsChain, MAX_EPOCH_LINKS, type EpochChain, type EpochLink } from '../../core/epoch.ts';
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
const chainSchema = z.object({
  chain: z.array(z.object({ id: z.string().regex(/^[A-Za-z0-9_]{1,32}$/), from: z.int().nonnegative().optional() })),
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The chain stored in `entry`; empty if there is none or it cannot be read. */
function parseChain(entry: StoredEntry | undefined): EpochChain {
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

interface WrittenChain {
  readonly chain: EpochChain;
  /** That of the commit that wrote it. */
  readonly revision: Revision;
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
  /** A chain that began anew in the store; the mirror still holds what was before. */
  #renewed: EpochChain | undefined;
  /** Ids of chains that ended while this node ran: a backup may bring one back. */
  readonly #retired = new Set<string>();
  /** Id of a commit on its way, to know it again if its reply is lost. */
  #ownId: string | undefined;
  #joinedId: string | undefined;

  constructor(provider: ConfigProvider, epochKey: string) {
    this.#provider = provider;
    this.#epochKey = epochKey;
    this.keys = [epochKey];
  }

  /** The chain as the store last showed it; empty until the node is live. */
  get chain(): EpochChain {
    return this.#chain;
  }

  /** Appends a link of this node to whatever chain the store holds, once: a first list that fails must not use up the chain. */
  async join(signal: AbortSignal): Promise<Revision> {
    const { chain, revision } = await this.#write(signal, (stored) =>
      stored.some(({ id }) => id === this.#joinedId) ? undefined : stored,
    );
    this.#chain = chain;
    if (!chain.some(({ id }) => id === this.#joinedId)) this.#joinedId = chain.at(-1)?.id;
    return revision;
  }

  /**
   * After a rollback or a wipe: continues a chain that another node began since, else begins a fresh one. A chain that holds a link known
   * now or before is an old one, restored; of one that nobody here remembers, the appended link ends what it covered before.
   */
  async renew(signal: AbortSignal): Promise<void> {
    const isKnown = ({ id }: EpochLink): boolean => this.#retired.has(id) || this.#chain.some((link) => link.id === id);
    const own = this.#renewed?.at(-1)?.id;
    const { chain } = await this.#write(signal, (stored) => {
      if (stored.some(({ id }) => id === own)) return undefined;
      return stored.some(isKnown) ? [] : stored;
    });
    // Not the chain yet: it would give positions of the state before the name of the new history.
    this.#renewed = chain;
  }

  continues(batch: AppliedBatch): boolean {
    const change = batch.changes.findLast((candidate) => candidate.key === this.#epochKey);
    // A first watch begins in the past: marks older than this node's own are no news.
    if (!change || change.revision < (this.#chain.at(-1)?.from ?? 0)) return true;
    return this.#take(change.after);
  }

  accepts(snapshot: StoredSnapshot, known: Revision): boolean {
    const entry = snapshot.entries.find((candidate) => candidate.key === this.#epochKey);
    if (this.#renewed) return this.#takeRenewed(this.#renewed, entry);
    const last = this.#chain.at(-1);
    // What the mirror knows holds every link up to there: another one is of a history that took its place and has overtaken it.
    const isForeign = (link: EpochLink): boolean => link.from <= known && link.from > (last?.from ?? Infinity);
    return !parseChain(entry).some(isForeign) && this.#take(entry);
  }

  #takeRenewed(renewed: EpochChain, entry: StoredEntry | undefined): boolean {
    const next = parseChain(entry);
    if (next.length === 0 || !extendsChain(renewed, next)) return false;
    for (const { id } of this.#chain) this.#retired.add(id);
    this.#chain = next;
    this.#renewed = undefined;
    return true;
  }

  /** Takes over the chain in `entry` if it continues the known one. */
  #take(entry: StoredEntry | undefined): boolean {
    const next = parseChain(entry);
    if (next.length === 0 || !extendsChain(this.#chain, next)) return false;
    this.#chain = next;
    return true;
  }

  /** Commits the chain that `base` wants continued by a new link; undefined adopts the stored one as it is. */
  async #write(signal: AbortSignal, base: (stored: EpochChain) => EpochChain | undefined): Promise<WrittenChain> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const snapshot = await this.#provider.read([this.#epochKey], { signal });
      const entry = snapshot.entries[0];
      const stored = parseChain(entry);
      // A commit of ours whose reply was lost shows here.
      const isOurs = this.#ownId !== undefined && stored.at(-1)?.id === this.#ownId;
      const continued = isOurs ? undefined : base(stored);
      if (entry && continued === undefined) {
        this.#ownId = undefined;
        return { chain: stored, revision: entry.revision };
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
        const chain = [...(continued ?? []), { id: this.#ownId, from: revision }].slice(-MAX_EPOCH_LINKS);
        this.#ownId = undefined;
        return { chain, revision };
      } catch (error) {
        if (!(error instanceof ConflictError) && !isAttuneError(error, 'CONFLICT') && !isAttuneError(error, 'OUTCOME_UNKNOWN')) throw error;
      }
    }
    throw new UnavailableError(`the epoch key ${this.#epochKey} is written by others again and again`);
  }
}
