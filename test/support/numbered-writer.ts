import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Writes the numbers from 1 on to `keyCount` keys in turn, so that each key's next value is known to whoever has seen one. */
export class NumberedWriter {
  readonly keyCount: number;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: false });
  #last = 0;
  #isStopped = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(port: number, keyCount: number) {
    this.#port = port;
    this.keyCount = keyCount;
  }

  /** The number written last. */
  get last(): number {
    return this.#last;
  }

  keyOf(number: number): string {
    return `app/${number % this.keyCount}`;
  }

  /** Writes until `stop`, one number every `everyMs`. */
  start(everyMs: number): void {
    this.#isStopped = false;
    this.#writing = (async () => {
      while (!this.#isStopped) {
        await this.write();
        await sleep(everyMs);
      }
    })();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#writing;
  }

  async write(): Promise<void> {
    const number = this.#last + 1;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const path = `/api/v1/configs/${this.keyOf(number)}`;
      request({ port: this.#port, host: '127.0.0.1', path, method: 'PUT', agent: this.#agent, headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      })
        .on('error', reject)
        .end(JSON.stringify({ value: number }));
    });
    if (status !== 200 && status !== 201) throw new Error(`writing ${number} was answered with ${status}`);
    this.#last = number;
  }
}
