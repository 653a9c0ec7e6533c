import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const START_MS = 20_000;

/**
 * The service as an operator runs it: `attune serve`, a process of its own, over the embedded store in a folder. Runs what was built last
 * (`npm test` builds first).
 */
export class NodeProcess implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Resolves when it serves. `port` 0 takes a free one. */
  static async start(dataDir: string, port = 0): Promise<NodeProcess> {
    const args = ['dist/cli/main.js', 'serve', '--data-dir', dataDir, '--port', String(port), '--log-level', 'warn'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const serving = new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`attune serve did not start within ${START_MS} ms: ${output}`)), START_MS);
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(Number(found));
      });
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`attune serve ended with ${signal ?? code}: ${output}`));
      });
    });
    return new NodeProcess(child, await serving);
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
