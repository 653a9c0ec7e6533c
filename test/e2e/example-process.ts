import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

const LONGEST_MS = 60_000;

/** A program of examples/, as its README has it started, over the service at `url`. It is killed after a minute. */
export class ExampleProcess implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<null, Readable, Readable>;
  readonly #closed: Promise<unknown>;
  #output = '';
  #wake: () => void = () => undefined;

  constructor(path: string, url: string) {
    this.#process = spawn(process.execPath, ['--import', 'tsx', path], {
      env: { ...process.env, ATTUNE_URL: url, PORT: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.#output += chunk;
        this.#wake();
      });
    }
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), LONGEST_MS);
    this.#closed = once(this.#process, 'close').then(() => {
      clearTimeout(timer);
      this.#wake();
    });
  }

  /** What it has written so far, errors too. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with what the pattern captures in its output; rejects if it ends without. */
  async said(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#output)?.[1];
      if (found !== undefined) return found;
      const { exitCode, signalCode } = this.#process;
      if (exitCode !== null || signalCode !== null) throw new Error(`it ended with ${exitCode ?? signalCode}: ${this.#output}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Its exit code, once it has ended by itself. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#process.exitCode;
  }

  terminate(): void {
    this.#process.kill('SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }
}
