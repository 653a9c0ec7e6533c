import { styleText } from 'node:util';
import type { ReadStream } from 'node:tty';

type Style = Parameters<typeof styleText>[0];

/** Where the command line reads and writes: data on stdout, talk on stderr. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True if a question can be asked and answered. */
  readonly canAsk: boolean;
  /** True if stderr shows a line that is written over: bars, spinners. */
  readonly isLive: boolean;
  /** Writes data; resolves when it may be followed by more. */
  print(data: string | Uint8Array): Promise<void>;
  /** Says a line to the person. */
  tell(line: string): void;
  /** Writes to stderr without a line feed. */
  draw(text: string): void;
  /** `text` in a style, for stdout or stderr, if it shows colours. */
  readonly paint: (style: Style, text: string, stream?: 'stdout' | 'stderr') => string;
  /** All of stdin. Rejects with the reason of `signal`. */
  readInput(signal: AbortSignal): Promise<Uint8Array>;
  /** The width of stdout; undefined if it is no terminal. */
  readonly columns: number | undefined;
}

/** The terminal of this process. A reader of stdout that went away ends it silently: `attune list | head` is no failure. */
export function openTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const colours = { stdout: showsColour(env, stdout.isTTY), stderr: showsColour(env, stderr.isTTY) };
  return {
    env,
    canAsk: stdin.isTTY && stderr.isTTY,
    isLive: stderr.isTTY && env['TERM'] !== 'dumb' && !env['CI'],
    columns: stdout.isTTY ? stdout.columns : undefined,
    print: async (data) => {
      if (!stdout.write(data)) await new Promise<void>((resolve) => stdout.once('drain', resolve));
    },
    tell: (line) => void stderr.write(`${line}\n`),
    draw: (text) => void stderr.write(text),
    paint: (style, text, stream = 'stdout') => (colours[stream] ? styleText(style, text, { validateStream: false }) : text),
    readInput: (signal) => readAll(stdin, signal),
  };
}

/** https://no-color.org, https://force-color.org; FORCE_COLOR wins, as it does in Node. */
export function showsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean | undefined): boolean {
  const force = env['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  return Boolean(isTerminal) && env['TERM'] !== 'dumb';
}

async function readAll(stream: ReadStream, signal: AbortSignal): Promise<Uint8Array> {
  const stop = (): void => void stream.destroy(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
