import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

export interface ShellOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A command and what it shows: one step of a block. */
export interface ConsoleStep {
  readonly command: string;
  /** Undefined where the block shows commands only. */
  readonly output: string | undefined;
}

/** The steps of a block whose commands stand behind `$ `; what follows each is its output. A block without `$ ` is commands only. */
export function stepsOf(text: string): readonly ConsoleStep[] {
  if (!text.startsWith('$ ')) return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : { command: line, output: undefined }));
  const steps: { command: string; output: string }[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' });
    else {
      const step = steps.at(-1);
      if (step) step.output += `${line}\n`;
    }
  }
  return steps;
}

const END = '--end-of-command--';
const END_LINE = new RegExp(`${END} (\\d+)\\n`);
const COMMAND_MS = 60_000;

/** One shell, as a person has it open: what a command sets, the next one finds. */
export class ShellSession implements AsyncDisposable {
  readonly #shell: ChildProcessWithoutNullStreams;
  readonly #options: ShellOptions;
  readonly #open: OpenCommand[] = [];
  #output = '';
  #wake: (() => void) | undefined;

  constructor(options: ShellOptions) {
    this.#options = options;
    this.#shell = spawn('bash', ['--noprofile', '--norc', '-s'], { cwd: options.cwd, env: { ...options.env } });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.#output += chunk;
        this.#wake?.();
      });
    }
    this.#shell.stdin.write('shopt -s expand_aliases\nexec 2>&1\n');
  }

  /** Runs a command to its end; resolves with what it wrote and its exit code. */
  async run(command: string): Promise<{ readonly output: string; readonly code: number }> {
    this.#shell.stdin.write(`{ ${command}\n} </dev/null; __code=$?; echo "${END} $__code"; (exit $__code)\n`);
    const deadline = AbortSignal.timeout(COMMAND_MS);
    let end: RegExpExecArray | null;
    while ((end = END_LINE.exec(this.#output)) === null) {
      if (deadline.aborted) throw new Error(`'${command}' did not end within ${COMMAND_MS} ms; so far: ${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, COMMAND_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const output = this.#output.slice(0, end.index);
    this.#output = this.#output.slice(end.index + end[0].length);
    return { output, code: Number(end[1]) };
  }

  /** Starts a command in a shell of its own, as in a second terminal, and leaves it running. It is ended with this session. */
  open(command: string): OpenCommand {
    const opened = new OpenCommand(command, this.#options);
    this.#open.push(opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((command) => command.stop()));
    const ended = new Promise((resolve) => this.#shell.once('close', resolve));
    this.#shell.stdin.end();
    await ended;
  }
}

/** A command that is left running. */
export class OpenCommand {
  readonly command: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown>;
  #output = '';

  constructor(command: string, { cwd, env }: ShellOptions) {
    this.command = command;
    // A group of its own, so that all of a pipe is ended.
    this.#process = spawn('bash', ['--noprofile', '--norc', '-c', command], { cwd, env: { ...env }, detached: true });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (this.#output += chunk));
    }
    this.#ended = new Promise((resolve) => this.#process.once('close', resolve));
  }

  /** What it has written so far. */
  get output(): string {
    return this.#output;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null && this.#process.pid !== undefined) {
      try {
        process.kill(-this.#process.pid, 'SIGTERM');
      } catch {
        // It has just ended by itself.
      }
    }
    await this.#ended;
  }
}
