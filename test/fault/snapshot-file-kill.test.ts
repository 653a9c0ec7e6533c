import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { SnapshotFile } from '../../src/client/node/snapshot-file.ts';

const ROUNDS = 30;
const WRITERS = ['a', 'b'];
const SPREAD_MS = 40;

it('a snapshot file is whole whenever its writers are killed', async ({ annotate }) => {
  const folder = mkdtempSync(join(tmpdir(), 'attune-snapshot-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'snapshot.json');
  const winners = new Set<string>();
  let reached = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(WRITERS.map((name) => writeUntilKilled(path, name, (round * SPREAD_MS) / ROUNDS)));
    const errors: unknown[] = [];
    const state = await new SnapshotFile({ path, onError: (error) => errors.push(error) }).load(['app/']);
    expect(errors).toEqual([]);
    expect(state?.items).toHaveLength(500);
    for (const { value } of state?.items ?? []) expect(value).toBe(`${state?.revision} `.repeat(100));
    winners.add(state?.items[0]?.key ?? '');
    reached += state?.revision ?? 0;
  }
  // Else no kill came in the middle of a write, and none of this says anything.
  const leftovers = readdirSync(folder).filter((name) => name.endsWith('.tmp')).length;
  await annotate(
    `${ROUNDS} rounds of ${WRITERS.length} writers, ${leftovers} killed within a write, about ${Math.round(reached / ROUNDS)} writes each`,
  );
  expect(leftovers).toBeGreaterThan(ROUNDS / 3);
  expect(winners.size).toBe(WRITERS.length);
});

/** Kills the writer some time after it began to write for the second time. */
async function writeUntilKilled(path: string, name: string, afterMs: number): Promise<void> {
  const writer = join(import.meta.dirname, 'snapshot-writer.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', writer, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await Promise.race([once(child.stdout, 'data'), ended]);
    expect(child.exitCode).toBeNull();
    await sleep(afterMs);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}
