import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from './processor.ts';

const OUTPUT_KEPT = 20_000;

export interface ServerCommand {
  /** For messages. */
  readonly title: string;
  readonly command: readonly string[];
  /** The banner: where it stands in the output the server listens; its first group is the port. */
  readonly banner: RegExp;
  readonly startMs?: number;
  /** With SIGTERM, so that it writes its profile; else it is killed. */
  readonly endsGently?: boolean;
}

/** A server under test, a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #command: ServerCommand;
  readonly #output: { text: string };

  private constructor(child: ChildProcess, port: number, command: ServerCommand, output: { text: string }) {
    this.#child = child;
    this.port = port;
    this.pid = child.pid ?? 0;
    this.#command = command;
    this.#output = output;
  }

  /** Resolves when it listens. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const { title, banner, startMs = 30_000 } = command;
    const [program = '', ...words] = command.command;
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { text: '' };
    const port = await new Promise<number>((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        child.kill('SIGKILL');
        reject(new Error(`${title} ${why}: ${output.text}`));
      };
      const timer = setTimeout(() => fail(`did not start within ${startMs} ms`), startMs);
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          output.text = `${output.text}${chunk.toString()}`.slice(-OUTPUT_KEPT);
          const found = banner.exec(output.text)?.[1];
          if (found === undefined) return;
          clearTimeout(timer);
          resolve(Number(found));
        });
      }
      child.once('error', (error) => fail(`did not start (${error.message})`));
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
    });
    return new ServerProcess(child, port, command, output);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get residentBytes(): number {
    return residentBytes(this.pid);
  }

  /** Sends a signal and resolves with the first match of `answer` in what the server says after it. */
  async ask(signal: NodeJS.Signals, answer: RegExp, withinMs = 30_000): Promise<RegExpExecArray> {
    this.#output.text = '';
    this.#child.kill(signal);
    for (const deadline = performance.now() + withinMs; performance.now() < deadline; await sleep(10)) {
      const found = answer.exec(this.#output.text);
      if (found) return found;
    }
    throw new Error(`${this.#command.title} did not answer ${signal} within ${withinMs} ms: ${this.#output.text}`);
  }

  /** Ends it and resolves when it is gone. Idempotent. */
  async end(signal: NodeJS.Signals = 'SIGKILL', withinMs = 20_000): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), withinMs);
    await exited;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end(this.#command.endsGently === true ? 'SIGTERM' : 'SIGKILL');
  }
}
