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
  readonly full: PreparedAnswer;
  readonly unchanged: PreparedAnswer;
}

/** Pages of lists by what was asked for, each good until the node moves on. */
export class PreparedPages {
  readonly #service: ConfigService;
  readonly #pages = new LRUCache<string, PreparedPage>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_PAGE_BYTES,
    sizeCalculation: ({ full }, url) => full.bytes + 2 * url.length + PAGE_BYTES,
  });

  constructor(service: ConfigService) {
    this.#service = service;
  }

  /** The answer to a list; undefined if it is no plain one. @throws {AttuneError} INVALID_ARGUMENT */
  get(url: string, ifNoneMatch: string | undefined): PreparedAnswer | undefined {
    const { cursor } = this.#service;
    const known = this.#pages.get(url);
    const page = known?.cursor === cursor ? known : this.#prepare(url, cursor);
    return page && (ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, cursor) ? page.unchanged : page.full);
  }

  #prepare(url: string, cursor: string): PreparedPage | undefined {
    const answer = plainListAnswer(this.#service, url);
    if (!answer) return undefined;
    const { ETag = '', 'Cache-Control': caching = '' } = answer.headers ?? {};
    const page: PreparedPage = {
      cursor,
      full: new PreparedAnswer(answer),
      unchanged: new PreparedAnswer({ status: 304, headers: { ETag, 'Cache-Control': caching } }),
    };
    this.#pages.set(url, page);
    return page;
  }
}
