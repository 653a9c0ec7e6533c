import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { ConfigKey } from '../../core/key.ts';
import type { ConfigService } from '../config-service.ts';
import { jsonAnswer } from './answer.ts';
import { answerFailure, createExchange, send, setCommonHeaders, type Exchange } from './exchange.ts';
import { ITEM_ROUTE, ITEMS_PATH, keyOfPath, writeItem } from './items.ts';
import type { Metrics } from './metrics.ts';
import { recordWhenOver, type RequestIds } from './observation.ts';
import { PreparedAnswer, type EveryAnswer } from './prepared-answer.ts';
import { maxBodyBytes } from './put-body.ts';
import { requireTrustedBrowser, type BrowserRules } from './security.ts';

export interface HotPathOptions {
  readonly service: ConfigService;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly rules: BrowserRules;
  readonly isDraining: () => boolean;
}

/** Carries out `request` and returns true, or leaves it untouched and returns false. */
export type HotWrite = (request: IncomingMessage, response: ServerResponse, startedAt: number) => boolean;

/**
 * Carries out a plain PUT, one with a path, a body of a known length and no parameters, before Express. Once its body is being read there is no way back
 * to the slow path: from there on its errors are told here, by the same function.
 */
export function createHotWrite(options: HotPathOptions, everyAnswer: EveryAnswer, requestIdOf: RequestIds): HotWrite {
  const { service, rules, isDraining, log } = options;
  const maxBytes = maxBodyBytes(service);

  const write = async (request: IncomingMessage, response: ServerResponse, key: ConfigKey, requestId: string): Promise<void> => {
    // As Express would have begun it.
    const exchange = (): Exchange => {
      if (!response.headersSent) setCommonHeaders(response, requestId);
      return createExchange(options, request, response, requestId);
    };
    try {
      const { status, text, headers } = await writeItem(service, request, key, await readBody(request));
      const answer = jsonAnswer(status, `${text}\n`, headers);
      if (isDraining()) send(exchange(), answer);
      else if (!response.destroyed) new PreparedAnswer(answer).send(response, everyAnswer.headers, requestId, false);
    } catch (error) {
      answerFailure(exchange(), error, log);
    }
  };

  return (request, response, startedAt) => {
    const { url = '', headers } = request;
    const length = Number(headers['content-length']);
    if (!url.startsWith(ITEMS_PATH) || url.includes('?') || isDraining()) return false;
    if (!(length <= maxBytes) || headers['content-encoding'] !== undefined) return false;
    requireTrustedBrowser(request, rules);
    const key = keyOfPath(url);
    const requestId = requestIdOf(headers['x-request-id']);
    recordWhenOver(options, request, response, { requestId, startedAt, route: () => ITEM_ROUTE });
    void write(request, response, key, requestId);
    return true;
  };
}

/** Never resolves when the client goes before it has sent all: nobody is there to be answered. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
  });
}
