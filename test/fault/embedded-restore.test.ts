import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { queryFromOutside } from '../support/outside-sqlite.ts';
import { writesIn, WriterProcess } from './embedded-writer-process.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'attune-restore-'));
  file = path.join(directory, 'attune.db');
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function open(): Promise<EmbeddedProvider> {
  const provider = new EmbeddedProvider(directory);
  await provider.open();
  return provider;
}

/** A store of one entry, copied as a backup after a good close. */
async function createBackup(): Promise<string> {
  const provider = await open();
  await provider.commit({ checks: [], operations: [{ type: 'put', key: 'backed-up', value: Buffer.from('1') }] });
  await provider.close();
  const backup = `${file}.backup`;
  await copyFile(file, backup);
  return backup;
}

/** Writes until `writes` are acknowledged, and dies. */
async function writeAndCrash(writes: number, bytes: number): Promise<WriterProcess> {
  const writer = await WriterProcess.start({ directory, writers: 4, bytes, first: 0 });
  await writer.acknowledgements(writes);
  await writer.kill();
  return writer;
}

describe('a backup put back over a store that crashed', () => {
  it('is not mixed with the log of the newer store: the start is refused, with the way out, which then works', async () => {
    const backup = await createBackup();
    // Some times the length at which a log is written back and begins anew.
    await writeAndCrash(300, 20_000);
    expect((await stat(`${file}-wal`)).size).toBeGreaterThan(1_000_000);
    await copyFile(backup, file);
    const message =
      `${file} is not the file that ${file}-wal belongs to: it was replaced, by a backup perhaps, after a crash; ` +
      `to go on from it, remove ${file}-wal, ${file}-shm and ${file}-marks`;
    for (let attempt = 0; attempt < 2; attempt++) await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE', message });
    for (const suffix of ['-wal', '-shm', '-marks']) await rm(`${file}${suffix}`);
    await using provider = await open();
    expect((await provider.list('')).entries.map((entry) => entry.key)).toEqual(['backed-up']);
    expect(await provider.head('')).toBe(1);
    await provider.close();
    expect(queryFromOutside(file, 'PRAGMA integrity_check')).toBe('ok');
  });

  it('that is what the log began with gives the newest state, for the log has all that came after', async () => {
    const backup = await createBackup();
    const writer = await writeAndCrash(20, 100);
    await copyFile(backup, file);
    await using provider = await open();
    const writes = writesIn((await provider.list('w')).entries);
    for (const { name, revision } of writer.acknowledged) expect(writes.get(name)).toEqual([revision, revision, revision]);
    await provider.close();
    expect(queryFromOutside(file, 'PRAGMA integrity_check')).toBe('ok');
  });
});

describe('a store that crashed at any length of its log', () => {
  it('is never taken for another one', async () => {
    const acknowledged = new Map<string, number>();
    for (const [round, writes] of [30, 75, 120, 165].entries()) {
      const writer = await WriterProcess.start({ directory, writers: 2, bytes: 20_000, first: round * 1_000 });
      await writer.acknowledgements(writes);
      await writer.kill();
      for (const { name, revision } of writer.acknowledged) acknowledged.set(name, revision);
    }
    await using provider = await open();
    const writes = writesIn((await provider.list('')).entries);
    for (const [name, revision] of acknowledged) expect(writes.get(name), name).toEqual([revision, revision, revision]);
  });
});
