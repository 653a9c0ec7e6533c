import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import { describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { PermissionDeniedError, UnauthenticatedError, UnavailableError } from '../../src/core/provider.ts';
import { FaultyProvider, REPLY_LOST } from '../support/faulty-provider.ts';
import type { Answer } from '../support/http-exchange.ts';
import { HttpService } from '../support/http-service.ts';

const SECRET = 'sesame-2718';
const INTERNAL = 'etcd.internal:2379 as svc-config';

/** A log and every line written to it. */
function recordedLog(): { readonly log: Logger; readonly lines: () => string } {
  let text = '';
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return { log: pino({ level: 'trace' }, sink), lines: () => text };
}

async function start(log?: Logger): Promise<{ readonly service: HttpService; readonly provider: FaultyProvider } & AsyncDisposable> {
  const store = new MemoryProvider();
  const provider = new FaultyProvider(store);
  const service = await HttpService.start({ provider, store, ...(log && { log }) });
  return { service, provider, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

const put = (service: HttpService, value: unknown = 1): Promise<Answer> =>
  service.send({
    method: 'PUT',
    path: '/api/v1/configs/k',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ value }),
  });

describe('a failure of the store', () => {
  it.each([
    ['unreachable', new UnavailableError(INTERNAL)],
    ['wants other credentials from this node', new UnauthenticatedError(INTERNAL)],
    ['denies this node the write', new PermissionDeniedError(INTERNAL)],
  ])('%s: 503, certainly not written, nothing of the store is shown, the log has it', async (_, error) => {
    const { log, lines } = recordedLog();
    await using running = await start(log);
    const { service, provider } = running;
    provider.onCommit = () => ({ isApplied: false, error });
    const before = await service.dump();
    const answer = await put(service, SECRET);
    expect([answer.status, answer.json().code, answer.header('retry-after')]).toEqual([503, 'UNAVAILABLE', '1']);
    expect(answer.text).not.toContain(INTERNAL);
    expect(lines()).toContain(INTERNAL);
    expect(lines()).not.toContain(SECRET);
    provider.onCommit = () => undefined;
    expect(await service.dump()).toEqual(before);
  });

  it('a reply that is lost is found out: the write is answered as what it was', async () => {
    await using running = await start();
    const { service, provider } = running;
    provider.onCommit = () => REPLY_LOST;
    const answer = await put(service);
    expect([answer.status, answer.json().value]).toEqual([201, 1]);
  });

  it('a write of which nobody can tell is 504 OUTCOME_UNKNOWN', async () => {
    await using running = await start();
    const { service, provider } = running;
    provider.onCommit = () => ({ isApplied: true });
    provider.onRead = (kind) => {
      if (kind === 'read') throw new UnavailableError(INTERNAL);
    };
    const answer = await put(service);
    expect([answer.status, answer.json().code]).toEqual([504, 'OUTCOME_UNKNOWN']);
    expect(answer.text).not.toContain(INTERNAL);
    provider.onRead = () => undefined;
  });

  it('a write that stands but does not show in time is 504 with committed and its version', async () => {
    await using running = await start();
    const { service, provider } = running;
    provider.hold();
    const answer = await put(service);
    expect(answer.status).toBe(504);
    expect(answer.json()).toMatchObject({ code: 'DEADLINE_EXCEEDED', committed: true, version: expect.any(Number) });
    provider.release();
    await service.server.service.reached(answer.json().version);
    expect((await service.item('k')).version).toBe(answer.json().version);
  });
});

describe('a fault of the service', () => {
  it('is 500 without a word of what it was, which the log has under the request’s id', async () => {
    const { log, lines } = recordedLog();
    await using running = await start(log);
    const { service, provider } = running;
    provider.onRead = () => {
      throw new TypeError(`cannot read ${INTERNAL}`);
    };
    const answer = await service.get('/api/v1/configs?consistency=strong');
    provider.onRead = () => undefined;
    expect(answer.status).toBe(500);
    expect(Object.keys(answer.json()).toSorted()).toEqual(['code', 'detail', 'requestId', 'status', 'title', 'type']);
    expect(answer.json()).toMatchObject({ code: 'INTERNAL', detail: 'A fault of the service.' });
    const line = lines()
      .split('\n')
      .find((one) => one.includes(INTERNAL));
    expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 50, requestId: answer.json().requestId });
    expect((await service.get('/healthz')).status).toBe(200);
  });
});

describe('the log', () => {
  it('never holds a value, whatever is asked and however it ends', async () => {
    const { log, lines } = recordedLog();
    await using running = await start(log);
    const { service } = running;
    await put(service, SECRET);
    await service.get('/api/v1/configs/k?raw');
    await service.send({
      method: 'PUT',
      path: '/api/v1/configs/k',
      headers: { 'Content-Type': 'application/json' },
      body: `{"value":"${SECRET}"`,
    });
    await service.send({
      method: 'PUT',
      path: '/api/v1/configs/k',
      headers: { 'Content-Type': 'application/yaml' },
      body: `a: [${SECRET}`,
    });
    await service.send({
      method: 'PUT',
      path: '/api/v1/configs/k',
      headers: { 'Content-Type': 'application/json' },
      body: `{"${SECRET}":1}`,
    });
    await service.outside({ k: `"${SECRET}"` });
    const stream = await service.stream('?snapshot');
    await stream.until('synced');
    await service.delete('k');
    expect(lines()).toContain('"route":"/api/v1/configs/{key}"');
    expect(lines()).not.toContain(SECRET);
  });
});
