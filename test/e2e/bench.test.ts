import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SideBySide } from '../../bench/support/side-by-side.ts';
import { until } from '../support/cluster.ts';

let out: string;
let bench: ChildProcess | undefined;
let output: string;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'attune-bench-test-'));
  output = '';
});

afterEach(() => {
  bench?.kill('SIGKILL');
  rmSync(out, { recursive: true, force: true });
});

function start(...words: readonly string[]): ChildProcess {
  const all = ['--import', 'tsx', 'bench/main.ts', '--out', out, ...words];
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  bench = child;
  return child;
}

/** Processes whose parent is this one, by /proc. */
function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return (
          Number(
            readFileSync(`/proc/${name}/stat`, 'utf8')
              .replace(/^.*\) /, '')
              .split(' ')[1],
          ) === pid
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('npm run bench', () => {
  it('measures a scenario against its bare counterpart and writes table, figures and picture', async () => {
    const [code] = (await once(start('--quick', '--rounds', '1', '--only', 'get-304'), 'exit')) as [number];
    expect(code, output).toBe(0);
    const files = readdirSync(out).toSorted();
    expect(files.map((file) => file.replace(/^[\d-]{11}/, ''))).toEqual(['side-by-side.json', 'side-by-side.md', 'side-by-side.svg']);
    const { scenarios } = JSON.parse(readFileSync(join(out, files[0] ?? ''), 'utf8')) as SideBySide;
    expect(scenarios.map(({ name }) => name)).toEqual(['get-304']);
    const [requests] = scenarios[0]?.figures.filter(({ party, what }) => party === 'Attune' && what === 'requests') ?? [];
    expect(requests?.rounds[0]).toBeGreaterThan(100);
    expect(readFileSync(join(out, files[1] ?? ''), 'utf8')).toContain('| [get-304](#get-304) |');
    expect(readFileSync(join(out, files[2] ?? ''), 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
  });

  it('ends every process it started when it is interrupted', async () => {
    const child = start('--quick', '--only', 'get-item');
    await until('the bench to measure', () => output.includes('warm-up'), 60_000);
    const children = childrenOf(child.pid ?? 0);
    expect(children.length).toBeGreaterThanOrEqual(5);
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    expect((await exited)[0], output).toBe(130);
    expect(children.filter(isRunning)).toEqual([]);
    expect(readdirSync(out)).toEqual([]);
  });

  it('says which scenarios there are when one is unknown', async () => {
    const [code] = (await once(start('--only', 'get-itme'), 'close')) as [number];
    expect([code, output]).toEqual([2, expect.stringContaining("did you mean 'get-item'") as string]);
  });
});
