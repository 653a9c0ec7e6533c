import type { IncomingMessage, ServerResponse } from 'node:http';
import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import type { ConfigService } from '../../../../src/server/config-service.ts';
import { answerFailure, createExchange } from '../../../../src/server/http/exchange.ts';

it('a failure that cannot be told ends the connection, and nothing else', () => {
  const service = {
    get state(): never {
      throw new Error('a fault within a fault');
    },
  } as unknown as ConfigService;
  const destroy = vi.fn();
  const response = { destroyed: false, headersSent: false, destroy } as unknown as ServerResponse;
  const log = pino({ level: 'silent' });
  const told = vi.spyOn(log, 'error');
  const exchange = createExchange({ service, isDraining: () => false }, { url: '/' } as IncomingMessage, response, 'r-1');
  expect(() => answerFailure(exchange, new Error('the first fault'), log)).not.toThrow();
  expect(destroy).toHaveBeenCalledOnce();
  expect(told).toHaveBeenCalledWith(expect.objectContaining({ requestId: 'r-1' }), expect.stringContaining('could not be told'));
});
