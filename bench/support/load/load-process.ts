import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Bench } from '../bench.ts';
import { openFileLimit, pinTo } from '../processor.ts';
import type { AnswerMessage, OrderInput, OrderMessage, OrderName, OrderOutput } from './orders.ts';

const WORKER = join(import.meta.dirname, 'worker.ts');
/** Of what a process opens beside its connections. */
const SPARE_FILES = 200;

interface Waiting {
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A process that does nothing but put load on a server, so that neither disturbs the other's measuring. */
export class LoadProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (answer: AnswerMessage) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.output);
    });
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the load process ended with ${signal ?? code}`));
      this.#waiting.clear();
    });
  }

  /** Owned by the bench. */
  static async start(bench: Bench): Promise<LoadProcess> {
    return bench.own(Promise.resolve().then(() => LoadProcess.#spawn(bench.options.isPinned)));
  }

  static async #spawn(isPinned: boolean): Promise<LoadProcess> {
    const [program, ...words] = [...pinTo('load', isPinned), process.execPath, '--import', 'tsx', WORKER];
    const child = spawn(program, words, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['ended'])])) as [unknown];
    if (message !== 'ready') throw new Error('the load process did not start');
    return new LoadProcess(child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async do<Name extends OrderName>(name: Name, input: OrderInput<Name>): Promise<OrderOutput<Name>> {
    const id = this.#count++;
    return new Promise<OrderOutput<Name>>((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error('the load process has ended'));
        return;
      }
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      const order: OrderMessage<Name> = { id, name, input };
      this.#child.send(order);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

/** @throws so many connections of one process are more files than it may open. */
export function requireConnections(count: number): void {
  const limit = openFileLimit();
  if (limit >= count + SPARE_FILES) return;
  throw new Error(
    `${count} connections need ${count + SPARE_FILES} open files, this machine allows ${limit}; raise it: ulimit -Hn ${count + SPARE_FILES}`,
  );
}
