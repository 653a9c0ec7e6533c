import { LRUCache } from 'lru-cache';
import type { ConfigService } from '../config-service.ts';
import { matchesEtag } from './conditions.ts';
import { plainListAnswer } from './list.ts';
import { PreparedAnswer } from './prepared-answer.ts';

/** Of all pages together, and of each. */
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_PAGE_BYTES = 1024 * 1024;
/** Of a page beside its text. */
const PAGE_BYTES = 1_000;

interface PreparedPage {
  /** Where the node stood. */
  readonly cursor: string;
  readonly answer: PreparedAnswer;
}

/** Pages of lists by what was asked for, each good until the node moves on. */
export class PreparedPages {
  readonly #service: ConfigService;
  readonly #pages = new LRUCache<string, PreparedPage>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_PAGE_BYTES,
    sizeCalculation: ({ answer }, url) => answer.bytes + 2 * url.length + PAGE_BYTES,
  });

  constructor(service: ConfigService) {
    this.#service = service;
  }

  /** The answer to a list; undefined if it is no plain one. @throws {AttuneError} INVALID_ARGUMENT */
  get(url: string, ifNoneMatch: string | undefined): PreparedAnswer | undefined {
    const { cursor } = this.#service;
    const isKnown = ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, cursor);
    const page = this.#pages.get(url);
    if (!isKnown && page?.cursor === cursor) return page.answer;
    // That nothing has changed is told without looking at what there is.
    const answer = plainListAnswer(this.#service, url, isKnown);
    const prepared = answer && new PreparedAnswer(answer);
    if (prepared && !isKnown) this.#pages.set(url, { cursor, answer: prepared });
    return prepared;
  }
}
