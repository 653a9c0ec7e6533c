import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import { expect } from 'vitest';
import type { ConfigService } from '../../src/server/config-service.ts';
import { DEFAULT_ADMISSION } from '../../src/server/http/admission.ts';
import type { AppOptions } from '../../src/server/http/app.ts';
import { createHotPath } from '../../src/server/http/hot-path.ts';
import { createListener } from '../../src/server/http/listener.ts';
import { LongPolls } from '../../src/server/http/long-poll.ts';
import { createMetrics } from '../../src/server/http/metrics.ts';
import { Streams } from '../../src/server/http/streams.ts';
import { eventually } from './eventually.ts';
import { sendBytes } from './http-exchange.ts';

export interface SideSettings {
  readonly rules?: Partial<AppOptions['rules']>;
  readonly isDraining?: () => boolean;
}

/** One of the two servers, with all that it counted and logged. */
export class Side implements Disposable {
  readonly server: Server;
  readonly metrics: AppOptions['metrics'];
  readonly polls: LongPolls;
  readonly #lines: string[] = [];
  /** Requests that the hot path answered. */
  hot = 0;

  constructor(service: ConfigService, { rules, isDraining = () => false }: SideSettings, isHot: boolean) {
    this.polls = new LongPolls({ service, random: () => 0.5 });
    const streams = new Streams({ service, onReset: () => undefined });
    this.metrics = createMetrics({ service, streams: () => 0, polls: () => 0, waitingSnapshots: () => 0 });
    const options: AppOptions = {
      service,
      streams,
      polls: this.polls,
      metrics: this.metrics,
      admission: DEFAULT_ADMISSION,
      log: this.#log(),
      rules: { allowedHosts: ['named.test'], corsOrigins: [], ...rules },
      version: '1.2.3',
      storeHosts: [],
      isDraining,
    };
    const hotPath = createHotPath(options);
    this.server = createListener(options, (request, response) => {
      const isAnswered = isHot && hotPath(request, response);
      if (isAnswered) this.hot++;
      return isAnswered;
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What a connection is answered, without what must differ. */
  async answer(bytes: Uint8Array): Promise<string> {
    const answered = (await sendBytes(this.port, bytes)).toString('latin1');
    return withoutMadeUp(answered);
  }

  async counted(): Promise<readonly string[]> {
    const text = await this.metrics.read();
    return text
      .split('\n')
      .filter((line) => line.startsWith('attune_http_request_duration_seconds_count'))
      .toSorted();
  }

  get lines(): readonly string[] {
    return this.#lines.toSorted();
  }

  #log(): Logger {
    const write = (chunk: Buffer, _encoding: string, done: () => void): void => {
      const { time: _, ms: __, requestId, err: ___, ...line } = JSON.parse(chunk.toString());
      this.#lines.push(JSON.stringify({ ...line, requestId: String(requestId).length === 36 ? '*' : requestId }));
      done();
    };
    return pino({ level: 'debug' }, new Writable({ write }));
  }

  async listen(): Promise<void> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening');
  }

  [Symbol.dispose](): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** An answer without its date, and without the ids that servers make up. */
export function withoutMadeUp(answer: string): string {
  return answer.replaceAll(/^Date: .*$/gm, 'Date: *').replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '*');
}

/** Compares what two servers that were sent the same have counted and logged. */
export async function expectSameRecords(hot: Side, slow: Side): Promise<void> {
  // Some requests are counted when their answer is on its way, which may be a moment after the client has it.
  await eventually(async () => {
    expect(await hot.counted()).toEqual(await slow.counted());
    expect(hot.lines).toEqual(slow.lines);
  });
  expect(slow.hot).toBe(0);
}
