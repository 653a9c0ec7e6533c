import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Clock ticks of Linux, as /proc counts. */
const TICKS_PER_SECOND = 100;
const QUIET_LOOKS = 3;
const LOOK_MS = 100;

/** Processor time of all threads of a process, user and system. Resolution: 10 ms. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes ?? Number.NaN) * 1_024;
}

/**
 * Resolves once the process has done next to nothing for 300 ms: whatever was sent to it is dealt with. Works for every program alike.
 * @throws it is still busy after `withinMs`.
 */
export async function untilQuiet(pid: number, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (let quiet = 0, before = processorSeconds(pid); quiet < QUIET_LOOKS;) {
    if (performance.now() > deadline) throw new Error(`process ${pid} is still busy after ${withinMs} ms`);
    await sleep(LOOK_MS);
    const now = processorSeconds(pid);
    quiet = now - before <= 1.5 / TICKS_PER_SECOND ? quiet + 1 : 0;
    before = now;
  }
}

export type Role = 'server' | 'load';

/**
 * What stands before a command so that servers have one core and the load another; empty where that cannot be done (one core, no taskset) or is not
 * wanted.
 */
export function pinTo(role: Role, isPinned: boolean): readonly string[] {
  if (!isPinned || !canPin()) return [];
  return ['taskset', '-c', role === 'server' ? '0' : '1'];
}

let pinning: boolean | undefined;

function canPin(): boolean {
  pinning ??= availableParallelism() >= 2 && succeeds('taskset', ['-c', '0,1', 'true']);
  return pinning;
}

function succeeds(program: string, words: readonly string[]): boolean {
  try {
    execFileSync(program, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Files a child process may open: Node raises its own limit as far as it may when it starts, and its children inherit that. */
export function openFileLimit(): number {
  const text = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}
