import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { StreamsNodeCommands, StreamsNodeOptions } from './streams-node.ts';

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** A node in a process of its own ({@link StreamsNodeCommands}); `await using` ends it and fails if it had crashed. */
export class StreamsNodeProcess implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void }>();
  #lastId = 0;
  #errors = '';

  private constructor(child: ChildProcess, port: number, errors: () => string) {
    this.#child = child;
    this.port = port;
    child.on('message', (reply: Reply) => {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if (reply.error === undefined) pending?.resolve(reply.result);
      else pending?.reject(new Error(reply.error));
    });
    child.once('exit', (code, signal) => {
      this.#errors = errors();
      for (const { reject } of this.#pending.values()) reject(new Error(`the node ended with ${code ?? signal}: ${this.#errors}`));
      this.#pending.clear();
    });
  }

  static async start(options: StreamsNodeOptions = {}): Promise<StreamsNodeProcess> {
    const child = fork(join(import.meta.dirname, 'streams-node.ts'), [JSON.stringify(options)], {
      execArgv: ['--expose-gc', '--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      serialization: 'json',
    });
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const failed = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the node did not start (${String(code)}): ${errors}`)));
    const [{ port }] = (await Promise.race([once(child, 'message'), failed])) as [{ readonly port: number }];
    failed.catch(() => undefined);
    return new StreamsNodeProcess(child, port, () => errors);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async call<Name extends keyof StreamsNodeCommands>(
    name: Name,
    ...[argument]: Parameters<StreamsNodeCommands[Name]>
  ): Promise<Awaited<ReturnType<StreamsNodeCommands[Name]>>> {
    if (!this.isRunning) throw new Error(`the node has ended: ${this.#errors}`);
    const id = ++this.#lastId;
    const result = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#child.send({ id, name, argument });
    return (await result) as Awaited<ReturnType<StreamsNodeCommands[Name]>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      const ended = this.isRunning ? once(this.#child, 'exit') : undefined;
      await this.call('stop');
      const [code] = (await ended) as [number | null];
      if (code !== 0) throw new Error(`the node ended with ${String(code)}: ${this.#errors}`);
    } finally {
      this.#child.kill('SIGKILL');
    }
  }
}
