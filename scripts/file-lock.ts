import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Resolves once this process alone holds the lock on `path`, which it waits for; disposing releases it. A process that dies
 * releases what it held, so that a lock is never stale.
 */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  mkdirSync(dirname(path), { recursive: true });
  // The lock belongs to a child that lives as long as its input is open: closed by us, or by the system when we are gone.
  const holder = spawn('flock', ['--exclusive', path, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit: Promise<unknown[]> = once(holder, 'exit');
  const locked: Promise<unknown[]> = once(holder.stdout, 'data');
  const [outcome] = await Promise.race([locked, exit]);
  if (!Buffer.isBuffer(outcome)) throw new Error(`cannot lock ${path}: flock ended with exit code ${String(outcome)}`);
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await exit;
    },
  };
}
