import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';
import { loadSqlite, type SqliteDatabase } from '../../src/providers/embedded/sqlite.ts';
import { queryFromOutside } from '../support/outside-sqlite.ts';
import { WriterProcess } from './embedded-writer-process.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'attune-lock-'));
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

async function put(provider: EmbeddedProvider, key: string): Promise<number> {
  return provider.commit({ checks: [], operations: [{ type: 'put', key, value: Buffer.from(`value of ${key}`) }] });
}

/** A second connection, as another program has it. */
async function connect(): Promise<SqliteDatabase> {
  const database = (await loadSqlite())(file);
  database.exec('PRAGMA busy_timeout = 0');
  return database;
}

describe('a data directory in use by another process', () => {
  it('is refused with the number of that process, and free as soon as it is killed', async () => {
    const writer = await WriterProcess.start({ directory, writers: 1, bytes: 10, first: 0 });
    try {
      await expect(open()).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: `${directory} is in use by pid ${writer.pid}; stop it, or choose another --data-dir`,
        details: { pid: writer.pid },
      });
      await writer.acknowledgements(20);
    } finally {
      await writer.kill();
    }
    await using provider = await open();
    expect((await provider.list('')).entries.length).toBeGreaterThanOrEqual(60);
  });

  it('refuses a second process, and the first goes on', async () => {
    await using provider = await open();
    await expect(WriterProcess.start({ directory, writers: 1, bytes: 10, first: 0 })).rejects.toThrow(`is in use by pid ${process.pid}`);
    expect(await put(provider, 'a')).toBe(1);
  });
});

describe('the file of a store', () => {
  it('is readable by other programs while it is written', async () => {
    const provider = await open();
    for (let round = 0; round < 10; round++) {
      await put(provider, `key-${round}`);
      expect(queryFromOutside(file, 'SELECT count(*) FROM entries')).toBe(String(round + 1));
    }
    expect(queryFromOutside(file, `SELECT value FROM entries WHERE key = 'key-3'`)).toBe('value of key-3');
    expect(queryFromOutside(file, 'PRAGMA integrity_check')).toBe('ok');
    await provider.close();
    expect((await readdir(directory)).sort()).toEqual(['attune.db', 'attune.lock']);
    expect(queryFromOutside(file, 'PRAGMA integrity_check')).toBe('ok');
    expect(queryFromOutside(file, 'SELECT count(*), max(revision) FROM entries')).toBe('10|10');
  });

  it('that another program keeps in a read transaction is closed all the same, and loses nothing', async () => {
    const provider = await open();
    await put(provider, 'before');
    const reader = await connect();
    reader.exec('BEGIN');
    expect(reader.prepare('SELECT count(*) AS n FROM entries').get()).toMatchObject({ n: 1 });
    for (let round = 0; round < 50; round++) await put(provider, `key-${round}`);
    await provider.close();
    await using again = await open();
    expect((await again.list('')).entries).toHaveLength(51);
    expect(reader.prepare('SELECT count(*) AS n FROM entries').get()).toMatchObject({ n: 1 });
    reader.exec('ROLLBACK');
    reader.close();
    expect(await put(again, 'after')).toBe(52);
  });

  it('that another program has locked for writing refuses writes, certainly not applied, until it is free', async () => {
    await using provider = await open();
    await put(provider, 'before');
    const other = await connect();
    other.exec('BEGIN IMMEDIATE');
    const writes = await Promise.allSettled([put(provider, 'a'), put(provider, 'b')]);
    expect(writes).toMatchObject([
      { status: 'rejected', reason: { code: 'UNAVAILABLE', message: expect.stringContaining(`${file} is locked by another process`) } },
      { status: 'rejected', reason: { code: 'UNAVAILABLE' } },
    ]);
    expect((await provider.list('')).entries.map((entry) => entry.key)).toEqual(['before']);
    other.exec('ROLLBACK');
    other.close();
    expect(await put(provider, 'a')).toBe(2);
  });
});
