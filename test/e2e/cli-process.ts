import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface CliResult {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

const END_MS = 150_000;

/**
 * The command line as it is shipped: bundled from the sources of this moment (not a `dist` that may be old), run as processes of their own, with an
 * environment that knows nothing of the person who runs the tests.
 */
export class Cli implements Disposable {
  readonly folder: string;
  readonly #main: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(build: string, folder: string) {
    this.#main = join(build, 'dist', 'cli', 'main.js');
    this.folder = folder;
  }

  /** Below the project, so that packages are found. */
  static build(): Cli {
    mkdirSync('.cache', { recursive: true });
    const build = resolve(mkdtempSync('.cache/cli-'));
    const { status, stderr } = spawnSync('node_modules/.bin/tsx', ['scripts/bundle-cli.ts', join(build, 'dist', 'cli')], {
      encoding: 'utf8',
    });
    copyFileSync('package.json', join(build, 'package.json'));
    const cli = new Cli(build, mkdtempSync(join(tmpdir(), 'attune-cli-')));
    if (status !== 0) throw new Error(`the command line cannot be built: ${stderr}`);
    mkdirSync(join(cli.folder, 'bin'));
    symlinkSync(cli.#main, join(cli.folder, 'bin', 'attune'));
    return cli;
  }

  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    const path = `${join(this.folder, 'bin')}:${process.env['PATH'] ?? ''}`;
    return { PATH: path, HOME: this.folder, XDG_CONFIG_HOME: join(this.folder, 'config'), TMPDIR: this.folder, LANG: 'C.UTF-8', ...extra };
  }

  /** Runs a command to its end. */
  run(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return this.start(words, options).ended;
  }

  /** Starts a command and lets it run. */
  start(words: readonly string[], options: CliOptions = {}): RunningCli {
    return this.#spawn(process.execPath, [this.#main, ...words], options);
  }

  /** Runs a line of bash in which `attune` is the command line. */
  shell(line: string, options: CliOptions = {}): Promise<CliResult> {
    return this.#spawn('bash', ['-o', 'pipefail', '-c', line], options).ended;
  }

  /** Starts a command on a terminal of its own; what it shows comes as stdout. */
  terminal(line: string, options: CliOptions = {}): RunningCli {
    // A new terminal has no size at all, which no real one has.
    return this.#spawn('script', ['-qefc', `stty cols 120 rows 40; ${line}`, '/dev/null'], {
      ...options,
      env: { TERM: 'xterm', SHELL: '/bin/bash', ...options.env },
    });
  }

  #spawn(command: string, words: readonly string[], { env, input, cwd }: CliOptions): RunningCli {
    const child = spawn(command, words, { cwd: cwd ?? this.folder, env: this.env(env) });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    child.stdin.on('error', () => undefined);
    if (input !== undefined) child.stdin.end(input);
    else if (command !== 'script') child.stdin.end();
    return new RunningCli(child);
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(resolve(this.#main, '../../..'), { recursive: true, force: true });
  }
}

export class RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  stdout = '';
  stderr = '';
  readonly #waiters = new Set<() => void>();

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((settle, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`no end within ${END_MS} ms\n--- stdout\n${this.stdout.slice(-2_000)}\n--- stderr\n${this.stderr.slice(-2_000)}`));
      }, END_MS);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        this.#wake();
        settle({ code, stdout: this.stdout, stderr: this.stderr });
      });
    });
    // Told by whoever awaits it; a test that fails before that shall not end the run.
    this.ended.catch(() => undefined);
  }

  /** Resolves as soon as the output so far fulfils `isThere`. */
  async until(isThere: (running: RunningCli) => boolean): Promise<void> {
    const { promise, settle } = deferred();
    const check = (): void => {
      if (isThere(this)) settle();
    };
    this.#waiters.add(check);
    check();
    try {
      const outcome = await Promise.race([promise.then(() => 'there' as const), this.ended]);
      if (outcome !== 'there' && !isThere(this))
        throw new Error(`ended with ${String(outcome.code)} before it was there\n${outcome.stdout}\n${outcome.stderr}`);
    } finally {
      this.#waiters.delete(check);
    }
  }

  lines(): readonly string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }
}

function deferred(): { readonly promise: Promise<void>; settle(): void } {
  let settle = (): void => undefined;
  const promise = new Promise<void>((resolvePromise) => {
    settle = resolvePromise;
  });
  return { promise, settle: () => settle() };
}

/** Starts `attune serve` on a free port and waits until it answers as ready. */
export async function startServe(cli: Cli, words: readonly string[]): Promise<{ readonly running: RunningCli; readonly url: string }> {
  const running = cli.start(['serve', '--port', '0', '--log-level', 'error', ...words]);
  const pattern = /http:\/\/127\.0\.0\.1:\d+/;
  await running.until(({ stdout }) => pattern.test(stdout));
  const url = pattern.exec(running.stdout)?.[0] ?? '';
  for (let left = 100; (await fetch(`${url}/readyz`)).status !== 200; left--) {
    if (left === 0) throw new Error(`${url} is not ready after ten seconds\n${running.stderr}`);
    await new Promise((resolveTimer) => setTimeout(resolveTimer, 100));
  }
  return { running, url };
}
