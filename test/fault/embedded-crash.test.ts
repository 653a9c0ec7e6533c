import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { REVISION_ZERO, type Revision } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { queryFromOutside } from '../support/outside-sqlite.ts';
import { writesIn, WriterProcess } from './embedded-writer-process.ts';

const ROUNDS = process.env['ATTUNE_LONG'] === '1' ? 20 : 5;

it('Durable, Atomic: a store whose process is killed while it writes holds every acknowledged write and no part of another', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'attune-crash-'));
  try {
    const acknowledged = new Map<string, number>();
    let position = REVISION_ZERO;
    for (let round = 0; round < ROUNDS; round++) {
      const writers = [1, 8, 64][round % 3] ?? 1;
      const writer = await WriterProcess.start({ directory, writers, bytes: 300, first: round * 1_000_000 });
      await writer.acknowledgements(40 + 53 * round);
      await writer.kill();
      for (const { name, revision } of writer.acknowledged) acknowledged.set(name, revision);

      await using provider = new EmbeddedProvider(directory);
      await provider.open();
      expect(provider.isNew).toBe(false);
      const head = await provider.head('');
      const { entries } = await provider.list('');
      const writes = writesIn(entries);
      for (const [name, revision] of acknowledged) {
        expect(writes.get(name), `acknowledged write ${name}`).toEqual([revision, revision, revision]);
      }
      for (const [name, [revision, ...others]] of writes) expect(others, `write ${name}`).toEqual([revision, revision]);

      // Who watched before the crash goes on from where it was: every revision once, each whole.
      for await (const batch of provider.watch('', { after: position, signal: new AbortController().signal })) {
        expect(batch.revision).toBe(position + 1);
        position = batch.revision;
        if (batch.revision === head) break;
      }
      const next: Revision = await provider.commit({ checks: [], operations: [{ type: 'delete', key: 'absent' }] });
      expect(next).toBe(head);
      await provider.close();
      expect(queryFromOutside(path.join(directory, 'attune.db'), 'PRAGMA integrity_check')).toBe('ok');
    }
    expect(acknowledged.size).toBeGreaterThan(ROUNDS * 40);
  } finally {
    await rm(directory, { recursive: true });
  }
});
