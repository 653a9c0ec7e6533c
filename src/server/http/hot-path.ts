import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ConfigService } from '../config-service.ts';
import type { RenderedItem } from '../store/rendered-items.ts';
import { jsonAnswer } from './answer.ts';
import { matchesEtag } from './conditions.ts';
import { createHotWrite, type HotPathOptions } from './hot-write.ts';
import { LIST_PATH } from './list.ts';
import { ITEM_ROUTE, itemAnswer, ITEMS_PATH, keyOfPath } from './items.ts';
import { EveryAnswer, PreparedAnswer } from './prepared-answer.ts';
import { PreparedPages } from './prepared-pages.ts';
import { createRequestIds, record, recordWhenOver } from './observation.ts';
import { isForOwnHost } from './security.ts';
import { LIVENESS, readinessHealth, type Health } from './status.ts';

/** Answers `request`, now or when a write is done, and returns true, or leaves it untouched and returns false. */
export type HotPath = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The answers of one state of an item, each made when it is first asked for. */
type PreparedItem = Partial<Record<'json' | 'raw' | 'unchanged', PreparedAnswer>>;

/** Items whose answers are kept. Then all are made anew: cheaper than to know which was used last. */
const MAX_PREPARED = 10_000;
/** Larger ones, with their path, are not kept. */
const MAX_PREPARED_BYTES = 2_048;
const RAW = '?raw';
const LIST_QUERY = `${LIST_PATH}?`;

/**
 * Answers the requests that are made most, reads and writes of one item, lists and health, before Express, with the same bytes. The rules are those of
 * the slow path, called, not repeated: whatever is out of the ordinary, wrong or held is left to it, and so is every error of a read.
 */
export function createHotPath(options: HotPathOptions): HotPath {
  // Pages of other origins are told more, by a package.
  if (options.rules.corsOrigins.length > 0) return () => false;
  const { service, rules, isDraining } = options;
  const items = new PreparedItems(service);
  const pages = new PreparedPages(service);
  const everyAnswer = new EveryAnswer(service);
  const requestIdOf = createRequestIds();
  const write = createHotWrite(options, everyAnswer, requestIdOf);
  const alive = prepareHealth(LIVENESS);
  const health = new Map([
    ['/healthz', () => alive],
    ['/readyz', () => prepareHealth(readinessHealth(service, isDraining()))],
  ]);

  const readItem = (url: string, { headers }: IncomingMessage): PreparedAnswer | undefined => {
    // A preference may be one to wait.
    if (headers['prefer'] !== undefined) return undefined;
    service.requireReadable();
    const found = items.find(url);
    if (!found) return undefined;
    const { item, form, answers } = found;
    const noneMatch = headers['if-none-match'];
    const isUnchanged = noneMatch !== undefined && (noneMatch === item.entityTag || matchesEtag(noneMatch, item.etag));
    const wanted = isUnchanged ? 'unchanged' : form;
    return (answers[wanted] ??= new PreparedAnswer(itemAnswer(item, wanted)));
  };

  const readPage = (url: string, { headers }: IncomingMessage): PreparedAnswer | undefined => {
    if (headers.accept?.toLowerCase().includes('text/event-stream')) return undefined;
    service.requireReadable();
    return pages.get(url, headers['if-none-match']);
  };

  const answer = (request: IncomingMessage, response: ServerResponse): boolean => {
    const startedAt = performance.now();
    const { url = '', method, headers } = request;
    if (method === 'PUT') return write(request, response, startedAt);
    if (method !== 'GET' && method !== 'HEAD') return false;
    const isItem = url.startsWith(ITEMS_PATH);
    const isList = url === LIST_PATH || url.startsWith(LIST_QUERY);
    const check = isItem || isList ? undefined : health.get(url);
    if ((!isItem && !isList && !check) || !isForOwnHost(request, rules) || isDraining()) return false;
    const found = check ? check() : isItem ? readItem(url, request) : readPage(url, request);
    if (!found) return false;
    const requestId = requestIdOf(headers['x-request-id']);
    found.send(response, everyAnswer.headers, requestId, method === 'HEAD');
    const route = isItem ? ITEM_ROUTE : isList ? LIST_PATH : url;
    // A small one is handed to the socket as a whole.
    if (found.isSmall) record(options, request, response, { requestId, startedAt, route });
    else recordWhenOver(options, request, response, { requestId, startedAt, route: () => route });
    return true;
  };

  return (request, response) => {
    try {
      return answer(request, response);
    } catch (error) {
      if (response.headersSent) throw error;
      return false;
    }
  };
}

const prepareHealth = ({ status, text, headers }: Health): PreparedAnswer => new PreparedAnswer(jsonAnswer(status, `${text}\n`, headers));

/** What a path was found to name, in one state of the mirror. */
interface FoundItem {
  stamp: number;
  readonly item: RenderedItem;
  readonly form: 'json' | 'raw';
  readonly answers: PreparedItem;
}

/** Items by the path that was asked for. */
class PreparedItems {
  readonly #service: ConfigService;
  readonly #byUrl = new Map<string, FoundItem>();

  constructor(service: ConfigService) {
    this.#service = service;
  }

  /** Undefined if there is no item, or the path is not a plain one. @throws {AttuneError} INVALID_KEY */
  find(url: string): FoundItem | undefined {
    const { stamp } = this.#service;
    const known = this.#byUrl.get(url);
    if (known?.stamp === stamp) return known;
    const form = url.endsWith(RAW) ? 'raw' : 'json';
    const path = form === 'raw' ? url.slice(0, -RAW.length) : url;
    if (path.includes('?')) return undefined;
    const item = this.#service.rendered(keyOfPath(path));
    if (known && known.item === item) {
      known.stamp = stamp;
      return known;
    }
    if (known) this.#byUrl.delete(url);
    if (!item) return undefined;
    const found: FoundItem = { stamp, item, form, answers: {} };
    // Of a large one the look-up is the least.
    if (item.json.byteLength + url.length > MAX_PREPARED_BYTES) return found;
    if (this.#byUrl.size >= MAX_PREPARED) this.#byUrl.clear();
    this.#byUrl.set(url, found);
    return found;
  }
}
