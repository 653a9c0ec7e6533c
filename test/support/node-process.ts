import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from './free-ports.ts';

const START_MS = 20_000;

interface Output {
  stdout: string;
  stderr: string;
}

export interface NodeOptions {
  /** Default: one that stays free while the node is down. */
  readonly port?: number;
  /** More arguments of `attune serve`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The service as an operator runs it: `attune serve`, a process of its own. Runs what was built last (`npm test` builds first).
 */
export class NodeProcess implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: Output;

  private constructor(child: ChildProcess, port: number, output: Output) {
    this.#child = child;
    this.port = port;
    this.#output = output;
  }

  /** Over the embedded store in a folder. Resolves when it serves. */
  static async start(dataDir: string, port?: number): Promise<NodeProcess> {
    return NodeProcess.#run(['--data-dir', dataDir], { ...(port !== undefined && { port }) });
  }

  /** Over the store at a provider URL. Resolves when it listens, whether or not the store can be reached. */
  static async over(provider: string, options: NodeOptions = {}): Promise<NodeProcess> {
    return NodeProcess.#run(['--provider', provider], options);
  }

  static async #run(words: readonly string[], { port, args = [], env = {} }: NodeOptions): Promise<NodeProcess> {
    const all = ['dist/cli/main.js', 'serve', ...words, '--port', String(port ?? (await freePort())), '--log-level', 'warn', ...args];
    const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    const output: Output = { stdout: '', stderr: '' };
    const serving = new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`attune serve did not start within ${START_MS} ms: ${output.stdout}${output.stderr}`));
      }, START_MS);
      child.stdout.on('data', (chunk: Buffer) => {
        output.stdout += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(output.stdout)?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(Number(found));
      });
      child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
      // Not before the last of what it said was read.
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`attune serve ended with ${signal ?? code}: ${output.stdout}${output.stderr}`));
      });
    });
    return new NodeProcess(child, await serving, output);
  }

  /** The banner. */
  get stdout(): string {
    return this.#output.stdout;
  }

  /** The log, and why it ended. */
  get stderr(): string {
    return this.#output.stderr;
  }

  /** Resolves with its exit code once it has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'close');
    return this.#child.exitCode;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends the process and resolves with its exit code, or null after a signal that cannot be caught. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}
