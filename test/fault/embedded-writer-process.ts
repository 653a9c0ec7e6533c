import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { StoredEntry } from '../../src/core/provider.ts';

/** The revisions of the keys of each write, by its name. */
export function writesIn(entries: readonly StoredEntry[]): Map<string, number[]> {
  const writes = new Map<string, number[]>();
  for (const { key, revision } of entries) {
    const name = path.posix.dirname(key);
    writes.set(name, [...(writes.get(name) ?? []), revision]);
  }
  return writes;
}

export interface WriterOptions {
  readonly directory: string;
  readonly writers: number;
  /** Of each value. */
  readonly bytes: number;
  readonly first: number;
  /** The largest file the process may write, in KiB. */
  readonly maxFileKib?: number;
}

/** `embedded-writer.ts` in a process of its own, and what it has said so far. */
export class WriterProcess {
  readonly acknowledged: { readonly name: string; readonly revision: number }[] = [];
  readonly failed: { readonly name: string; readonly code: string }[] = [];
  /** The revisions its watch was given, in order. */
  readonly seen: number[] = [];
  /** Why its watch ended, each time. */
  readonly lost: string[] = [];
  readonly #child: ChildProcess;
  readonly #changed = new EventTarget();
  #errors = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when the process has opened its store. */
  static async start(options: WriterOptions): Promise<WriterProcess> {
    const script = path.join(import.meta.dirname, 'embedded-writer.ts');
    const numbers = [options.writers, options.bytes, options.first].map(String);
    const command = [process.execPath, '--import', 'tsx', script, options.directory, ...numbers];
    const limited = ['sh', '-c', `ulimit -S -f ${(options.maxFileKib ?? 0) * 2}; exec "$@"`, 'sh', ...command];
    const [program = '', ...args] = options.maxFileKib === undefined ? command : limited;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const writer = new WriterProcess(child);
    await writer.#listen();
    return writer;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when there are `count` acknowledgements, from the start. */
  async acknowledgements(count: number): Promise<void> {
    await this.#until(() => this.acknowledged.length >= count, `${count} acknowledgements`);
  }

  async failures(count: number): Promise<void> {
    await this.#until(() => this.failed.length >= count, `${count} failures`);
  }

  /** Resolves when its watch was given `revision`. */
  async sees(revision: number): Promise<void> {
    await this.#until(() => (this.seen.at(-1) ?? 0) >= revision, `revision ${revision} to be watched`);
  }

  /** SIGKILL, and everything it said before is read. */
  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  async #listen(): Promise<void> {
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    let isOpen = false;
    if (!this.#child.stdout) throw new Error('the writer has no stdout');
    createInterface(this.#child.stdout).on('line', (line) => {
      const [what, writer, number, detail = ''] = line.split(' ');
      const name = `w${writer}/${number}`;
      if (what === 'open') isOpen = true;
      else if (what === 'ack') this.acknowledged.push({ name, revision: Number(detail) });
      else if (what === 'seen') this.seen.push(Number(detail));
      else if (what === 'lost') this.lost.push(detail);
      else if (what === 'fail') this.failed.push({ name, code: detail });
      this.#changed.dispatchEvent(new Event('line'));
    });
    this.#child.once('exit', () => this.#changed.dispatchEvent(new Event('line')));
    await this.#until(() => isOpen, 'the store to be open');
  }

  async #until(isReached: () => boolean, what: string): Promise<void> {
    while (!isReached()) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`the writer ended before ${what}: ${this.#errors}`);
      await once(this.#changed, 'line');
    }
  }
}
