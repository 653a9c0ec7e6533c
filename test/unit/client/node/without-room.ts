import { execFileSync } from 'node:child_process';

/** Runs `act` in a world where no file can grow beyond `bytes`: writing stops in the middle, as on a full disk. */
export async function withoutRoomAbove(bytes: number, act: () => Promise<void>): Promise<void> {
  const limit = (soft: string): void => void execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:unlimited`]);
  // Heard, the signal no longer ends the process; the write fails instead.
  const heard = (): void => undefined;
  process.on('SIGXFSZ', heard);
  limit(String(bytes));
  try {
    await act();
  } finally {
    limit('unlimited');
    process.off('SIGXFSZ', heard);
  }
}
