import { execFileSync, spawnSync } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isAttuneError, REVISION_ZERO, type Revision } from '../../src/core/provider.ts';
import { EmbeddedProvider, type EmbeddedProviderOptions } from '../../src/providers/embedded/embedded-provider.ts';
import { loadSqlite, type SqliteDatabase } from '../../src/providers/embedded/sqlite.ts';
import { queryFromOutside } from '../support/outside-sqlite.ts';
import { writesIn, WriterProcess } from './embedded-writer-process.ts';

/** A place for a store that can be filled up and freed. */
interface Room {
  readonly directory: string;
  readonly options: EmbeddedProviderOptions;
  fill(): Promise<void>;
  free(): Promise<void>;
  dispose(): Promise<void>;
}

/** SQLite's own limit of pages: the file cannot grow, and the write fails in the middle of a transaction. */
async function createPageLimit(): Promise<Room> {
  const directory = await mkdtemp(path.join(tmpdir(), 'attune-pages-'));
  let database: SqliteDatabase | undefined;
  const openSqlite = await loadSqlite();
  return {
    directory,
    options: {
      loadSqlite: async () => (file) => {
        const opened = openSqlite(file);
        if (file.endsWith('attune.db')) database = opened;
        return opened;
      },
    },
    fill: async () => database?.exec('PRAGMA max_page_count = 1'), // SQLite raises it to the pages there are.
    free: async () => database?.exec('PRAGMA max_page_count = 1000000'),
    dispose: async () => rm(directory, { recursive: true }),
  };
}

/** A file system of 4 MiB: the log cannot grow, and the write fails when it is committed. */
async function createSmallDisk(): Promise<Room> {
  const mountPoint = await mkdtemp(path.join(tmpdir(), 'attune-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mountPoint]);
  const ballast = path.join(mountPoint, 'ballast');
  return {
    directory: path.join(mountPoint, 'data'),
    options: {},
    async fill() {
      const block = Buffer.alloc(16 * 1024);
      for (;;) {
        try {
          await appendFile(ballast, block);
        } catch {
          return;
        }
      }
    },
    free: async () => rm(ballast),
    async dispose() {
      // Lazily: one driver lets go of its files when its statements are garbage collected.
      execFileSync('umount', ['-l', mountPoint]);
      await rm(mountPoint, { recursive: true });
    },
  };
}

// To mount takes a privilege that not everybody has; the limit of pages is tested everywhere.
const ROOMS: [string, () => Promise<Room>][] = [
  ['that may have no more pages', createPageLimit],
  ...(process.getuid?.() === 0 && process.platform === 'linux'
    ? [['on a full disk', createSmallDisk] satisfies [string, () => Promise<Room>]]
    : []),
];

async function put(provider: EmbeddedProvider, key: string, bytes: number): Promise<Revision> {
  return provider.commit({ checks: [], operations: [{ type: 'put', key, value: new Uint8Array(bytes) }] });
}

async function codeOf(write: Promise<Revision>): Promise<Revision | string> {
  try {
    return await write;
  } catch (error) {
    return isAttuneError(error) ? error.code : String(error);
  }
}

async function revisionsUpTo(provider: EmbeddedProvider, head: Revision): Promise<number[]> {
  const revisions: number[] = [];
  for await (const batch of provider.watch('', { after: REVISION_ZERO, signal: new AbortController().signal })) {
    revisions.push(batch.revision);
    if (batch.revision >= head) break;
  }
  return revisions;
}

describe.each(ROOMS)('a store %s', (_name, createRoom) => {
  it('refuses writes, certainly not applied, reads on, and writes again by itself when there is room', async () => {
    const room = await createRoom();
    const provider = new EmbeddedProvider(room.directory, room.options);
    try {
      await provider.open();
      const written = new Map<string, number>();
      for (let round = 0; round < 10; round++) written.set(`before/${round}`, await put(provider, `before/${round}`, 20_000));
      await room.fill();
      const refused: string[] = [];
      for (let round = 0; refused.length < 15; round++) {
        expect(round).toBeLessThan(2_000);
        const names = Array.from({ length: 5 }, (_, index) => `full/${round}-${index}`);
        const outcomes = await Promise.all(names.map(async (name) => codeOf(put(provider, name, 3_000))));
        for (const [index, outcome] of outcomes.entries()) {
          if (typeof outcome === 'number') written.set(names[index] ?? '', outcome);
          else refused.push(outcome);
        }
      }
      expect(new Set(refused)).toEqual(new Set(['UNAVAILABLE']));
      await expect(put(provider, 'full', 20_000)).rejects.toThrow('attune.db cannot grow: the disk or the quota is full; free some space');

      const state = async (): Promise<Map<string, number>> =>
        new Map((await provider.list('')).entries.map((entry) => [entry.key, entry.revision]));
      const byKey = (entries: Map<string, number>): [string, number][] => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(byKey(await state())).toEqual(byKey(written));
      const head = await provider.head('');
      expect(head).toBe(Math.max(...written.values()));
      expect(await revisionsUpTo(provider, head)).toEqual(Array.from({ length: head }, (_, index) => index + 1));
      expect((await provider.read(['before/3'])).entries).toHaveLength(1);

      const waiting = provider.watch('', { after: head, signal: new AbortController().signal })[Symbol.asyncIterator]().next();
      await room.free();
      written.set('after', await put(provider, 'after', 20_000));
      expect(written.get('after')).toBe(head + 1);
      expect((await waiting).value?.revision).toBe(head + 1);
      await provider.close();

      expect(queryFromOutside(path.join(room.directory, 'attune.db'), 'PRAGMA integrity_check')).toBe('ok');
      const again = new EmbeddedProvider(room.directory);
      await again.open();
      expect(byKey(new Map((await again.list('')).entries.map((entry) => [entry.key, entry.revision])))).toEqual(byKey(written));
      expect(await put(again, 'again', 10)).toBe(head + 2);
      await again.close();
    } finally {
      await provider.close();
      await room.dispose();
    }
  });
});

describe('a store whose writes fail at the disk', () => {
  it('says of each write what it knows, reads on, heals by itself, and is whole after a crash', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'attune-limit-'));
    onTestFinished(async () => rm(directory, { recursive: true }));
    // The log is the first file to reach the limit: its checkpoints begin at 4 MiB.
    const writer = await WriterProcess.start({ directory, writers: 4, bytes: 20_000, first: 0, maxFileKib: 2_048 });
    try {
      await writer.failures(20);
      expect(writer.acknowledged.length).toBeGreaterThan(5);
      const codes = new Set(writer.failed.map(({ code }) => code));
      expect(codes).toContain('OUTCOME_UNKNOWN');
      expect([...codes].filter((code) => code !== 'OUTCOME_UNKNOWN' && code !== 'UNAVAILABLE')).toEqual([]);
      const before = writer.acknowledged.length;
      const raised = spawnSync('prlimit', ['--pid', String(writer.pid), '--fsize=unlimited:'], { encoding: 'utf8' });
      // Where the limit of another process cannot be raised, the restart below is what heals.
      if (!raised.error) {
        expect(raised.stderr).toBe('');
        await writer.acknowledgements(before + 50);
        await writer.sees(writer.acknowledged.at(-1)?.revision ?? 0);
      }
    } finally {
      await writer.kill();
    }
    // The file may have ended elsewhere than its watches had seen: they were told, and then missed nothing.
    expect(new Set(writer.lost)).toEqual(new Set(['UNAVAILABLE']));
    expect(writer.seen).toEqual(Array.from({ length: writer.seen.length }, (_, index) => index + 1));
    await using provider = new EmbeddedProvider(directory);
    await provider.open();
    const writes = writesIn((await provider.list('')).entries);
    for (const { name, revision } of writer.acknowledged) {
      expect(writes.get(name), `acknowledged write ${name}`).toEqual([revision, revision, revision]);
    }
    for (const { name, code } of writer.failed) {
      expect(writes.get(name)?.length ?? 0, `${code} write ${name}`).toBeOneOf(code === 'UNAVAILABLE' ? [0] : [0, 3]);
    }
    const head = await provider.head('');
    expect(await revisionsUpTo(provider, head)).toEqual(Array.from({ length: head }, (_, index) => index + 1));
    await provider.close();
    expect(queryFromOutside(path.join(directory, 'attune.db'), 'PRAGMA integrity_check')).toBe('ok');
  });
});
