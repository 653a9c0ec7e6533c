import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { ConfigService } from '../config-service.ts';
import type { RenderedItem } from '../store/rendered-items.ts';
import { EVERY_ANSWER, jsonAnswer, positionHeaders, type Answer } from './answer.ts';
import { matchesEtag } from './conditions.ts';
import { ITEM_ROUTE, itemAnswer, ITEMS_PATH, keyOfPath } from './items.ts';
import type { Metrics } from './metrics.ts';
import { observe, REQUEST_ID, requestIdOf } from './observation.ts';
import { isOwnHost, type BrowserRules } from './security.ts';
import { LIVENESS, readinessHealth, type Health } from './status.ts';

export interface HotPathOptions {
  readonly service: ConfigService;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly rules: BrowserRules;
  readonly isDraining: () => boolean;
}

/** Answers `request` and returns true, or leaves it untouched and returns false. */
export type HotPath = (request: IncomingMessage, response: ServerResponse) => boolean;

/** An answer as node:http sends it fastest: one flat list of headers, the body at once. */
interface Prepared {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string | Buffer | undefined;
}

/** The three answers of one state of an item, each made when it is first asked for. */
type PreparedItem = Partial<Record<'json' | 'raw' | 'unchanged', Prepared>>;

/** The headers that a hot request may bring and that mean something. */
interface HotHeaders {
  readonly host: string;
  readonly noneMatch: string | undefined;
  readonly requestId: string | undefined;
}

/**
 * Answers the requests that are made most, reads of one item and health, before Express, with the same bytes. The rules are those of the slow
 * path, called, not repeated: whatever is out of the ordinary, wrong or has to wait is left to it, and so is every error.
 */
export function createHotPath({ service, metrics, log, rules, isDraining }: HotPathOptions): HotPath {
  const prepared = new WeakMap<RenderedItem, PreparedItem>();
  const always = Object.entries(EVERY_ANSWER).flat();

  const itemPrepared = (url: string, noneMatch: string | undefined): Prepared | undefined => {
    const query = url.indexOf('?', ITEMS_PATH.length);
    if (query >= 0 && url.length - query !== RAW.length) return undefined;
    if (query >= 0 && !url.endsWith(RAW)) return undefined;
    // What comes after a # is read in more than one way.
    if (url.includes('#')) return undefined;
    service.requireReadable();
    const item = service.rendered(keyOfPath(query < 0 ? url : url.slice(0, query)));
    if (!item) return undefined;
    const isKnown = noneMatch !== undefined && matchesEtag(noneMatch, item.etag);
    const form = isKnown ? 'unchanged' : query < 0 ? 'json' : 'raw';
    let forms = prepared.get(item);
    if (!forms) prepared.set(item, (forms = {}));
    return (forms[form] ??= prepare(itemAnswer(item, form)));
  };

  const send = (request: IncomingMessage, response: ServerResponse, route: string, given: string | undefined, answer: Prepared): void => {
    const requestId = requestIdOf(given);
    observe({ metrics, log }, request, response, { requestId, startedAt: performance.now(), route: () => route });
    const position = Object.entries(positionHeaders(service)).flat();
    response.writeHead(answer.status, [REQUEST_ID, requestId, ...always, ...position, ...answer.headers]);
    if (answer.body === undefined || request.method === 'HEAD') response.end();
    else response.end(answer.body, 'latin1');
  };

  const answer = (request: IncomingMessage, response: ServerResponse): boolean => {
    const { url = '', method } = request;
    if (method !== 'GET' && method !== 'HEAD') return false;
    const isItem = url.startsWith(ITEMS_PATH);
    const health = isItem ? undefined : HEALTH.get(url);
    if (!isItem && !health) return false;
    const headers = readHeaders(request.rawHeaders);
    if (!headers || !isOwnHost(headers.host, rules) || isDraining()) return false;
    const found = health ? prepareHealth(health(service)) : itemPrepared(url, headers.noneMatch);
    if (!found) return false;
    send(request, response, isItem ? ITEM_ROUTE : url, headers.requestId, found);
    return true;
  };

  // Cross-origin pages are told more headers, by a package.
  if (rules.corsOrigins.length > 0) return () => false;
  return (request, response) => {
    try {
      return answer(request, response);
    } catch (error) {
      if (response.headersSent) throw error;
      return false;
    }
  };
}

const RAW = '?raw';

const HEALTH: ReadonlyMap<string, (service: ConfigService) => Health> = new Map([
  ['/healthz', () => LIVENESS],
  ['/readyz', (service: ConfigService) => readinessHealth(service, false)],
]);

const prepareHealth = ({ status, text, headers }: Health): Prepared => prepare(jsonAnswer(status, `${text}\n`, headers));

function prepare({ status, headers = {}, body }: Answer): Prepared {
  const flat = Object.entries(headers).flat();
  if (body === undefined) return { status, headers: flat, body };
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  return { status, headers: [...flat, 'Content-Length', String(bytes.byteLength)], body: bytes };
}

/** Undefined if the headers ask for more than a plain read, or one that matters stands twice. */
function readHeaders(raw: readonly string[]): HotHeaders | undefined {
  let host: string | undefined;
  let noneMatch: string | undefined;
  let requestId: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1];
    // The length tells most others apart without a copy in lower case.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== 'host') break;
        if (host !== undefined) return undefined;
        host = value;
        break;
      case 6:
        if (name.toLowerCase() === 'prefer') return undefined;
        break;
      case 12:
        if (name.toLowerCase() !== 'x-request-id') break;
        if (requestId !== undefined) return undefined;
        requestId = value;
        break;
      case 13:
        if (name.toLowerCase() !== 'if-none-match') break;
        if (noneMatch !== undefined) return undefined;
        noneMatch = value;
        break;
      default:
    }
  }
  return host === undefined ? undefined : { host, noneMatch, requestId };
}
