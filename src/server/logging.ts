import { mkdirSync } from 'node:fs';
import { pino, type Logger } from 'pino';

export interface LogOptions {
  readonly level: string;
  /** Folder for rotated files; undefined for standard error alone. */
  readonly dir: string | undefined;
  /** Of several processes: each has lines, and files, of its own. */
  readonly worker?: number | undefined;
}

/** JSON lines on standard error, and in rotated files if a folder is given: daily, 10 MiB each, 30 kept. */
export async function createLog({ level, dir, worker }: LogOptions): Promise<Logger> {
  const options = { level, base: worker === undefined ? null : { worker }, redact: ['headers.authorization', 'token'] };
  const standardError = pino.destination({ fd: 2, sync: true });
  if (dir === undefined) return pino(options, standardError);
  mkdirSync(dir, { recursive: true });
  const { createStream } = await import('rotating-file-stream');
  const files = createStream(worker === undefined ? 'attune.log' : `attune-worker-${worker}.log`, {
    path: dir,
    size: '10M',
    interval: '1d',
    maxFiles: 30,
  });
  // A full or vanished disk must not end the service; standard error still has every line.
  files.on('error', (error) =>
    standardError.write(`${JSON.stringify({ level: 40, time: Date.now(), msg: 'cannot write the log file', error: error.message })}\n`),
  );
  return pino(
    options,
    pino.multistream([
      { level: 'trace', stream: standardError },
      { level: 'trace', stream: files },
    ]),
  );
}
