import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, open as openFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAttuneError, REVISION_ZERO, type Revision } from '../../../../src/core/provider.ts';
import { EmbeddedProvider, type EmbeddedProviderOptions } from '../../../../src/providers/embedded/embedded-provider.ts';
import { POSITIONS } from '../../../../src/providers/embedded/schema.ts';
import { loadSqlite } from '../../../../src/providers/embedded/sqlite.ts';
import { LOCAL_CAPABILITIES } from '../../../../src/providers/local/transaction.ts';
import { queryFromOutside } from '../../../support/outside-sqlite.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'attune-embedded-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function open(options: EmbeddedProviderOptions & { readonly at?: string } = {}): Promise<EmbeddedProvider> {
  const provider = new EmbeddedProvider(options.at ?? directory, options);
  await provider.open();
  return provider;
}

async function put(provider: EmbeddedProvider, key: string, value = 'x'): Promise<Revision> {
  return provider.commit({ checks: [], operations: [{ type: 'put', key, value: Buffer.from(value) }] });
}

async function firstAfter(provider: EmbeddedProvider, after: number): Promise<number | string> {
  try {
    for await (const batch of provider.watch('', { after: after as Revision, signal: new AbortController().signal })) return batch.revision;
    return 'end';
  } catch (error) {
    return isAttuneError(error) ? error.code : String(error);
  }
}

/** Runs SQL on the file, as another program would. */
async function runSql(sql: string): Promise<void> {
  const database = (await loadSqlite())(path.join(directory, 'attune.db'));
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

describe('the data directory', () => {
  it('is created with its parents, for the owner alone', async () => {
    const nested = path.join(directory, 'a', 'b');
    await using provider = await open({ at: nested });
    expect(provider.isNew).toBe(true);
    expect((await stat(nested)).mode & 0o777).toBe(0o700);
    for (const file of await readdir(nested)) expect((await stat(path.join(nested, file))).mode & 0o077, file).toBe(0);
  });

  it('keeps its own mode if it exists', async () => {
    const existing = path.join(directory, 'shared');
    await mkdir(existing, { mode: 0o755 });
    await using _provider = await open({ at: existing });
    expect((await stat(existing)).mode & 0o777).toBe(0o755);
  });

  it('that is a file, or lies below one, is refused by name', async () => {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    await expect(open({ at: file })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/file is not a directory .*--data-dir$/),
    });
    await expect(open({ at: path.join(file, 'below') })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('belongs to one provider at a time, and says whose it is', async () => {
    const holder = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `${directory} is in use by pid ${process.pid}; stop it, or choose another --data-dir`,
    });
    await put(holder, 'a');
    await holder.close();
    await using next = await open();
    expect(next.isNew).toBe(false);
    expect((await next.list('')).entries).toHaveLength(1);
  });

  it('holds one file that is the whole store once it is closed', async () => {
    const provider = await open();
    for (let round = 0; round < 50; round++) await put(provider, `key-${round}`);
    await provider.close();
    expect((await readdir(directory)).sort()).toEqual(['attune.db', 'attune.lock']);
    const copy = path.join(directory, 'copy');
    await mkdir(copy);
    await copyFile(path.join(directory, 'attune.db'), path.join(copy, 'attune.db'));
    await using restored = await open({ at: copy });
    expect((await restored.list('')).entries).toHaveLength(50);
    expect(await restored.head('')).toBe(50);
  });

  it('may be put back as it was earlier, and is then read as it was', async () => {
    const file = path.join(directory, 'attune.db');
    const first = await open();
    await put(first, 'a', 'old');
    await first.close();
    await copyFile(file, `${file}.backup`);
    const second = await open();
    for (let round = 0; round < 20; round++) await put(second, 'a', `new-${round}`);
    await second.close();
    await rm(file);
    await copyFile(`${file}.backup`, file);
    const third = await open();
    expect(await third.head('')).toBe(1);
    expect(await put(third, 'b')).toBe(2);
    await third.close();
    await using fourth = await open();
    expect((await fourth.list('')).entries.map((entry) => Buffer.from(entry.value).toString())).toEqual(['old', 'x']);
  });
});

describe('the file', () => {
  it('of a later format is refused, and left as it is', async () => {
    await (await open()).close();
    await runSql(`UPDATE meta SET value = 2 WHERE name = 'format'`);
    await expect(open()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `${path.join(directory, 'attune.db')} has format 2, this version of Attune reads format 1; use the version that wrote it`,
    });
    await runSql(`UPDATE meta SET value = 1 WHERE name = 'format'`);
    await (await open()).close();
  });

  it('of another program is refused', async () => {
    await runSql('CREATE TABLE theirs (a)');
    await expect(open()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('is a database of another program'),
    });
  });

  it('that is no database is refused by name, and the directory is free again', async () => {
    const file = path.join(directory, 'attune.db');
    await writeFile(file, 'this is not a database, though it is long enough to be looked at as one'.repeat(20));
    await expect(open()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`${file} is not a SQLite database`),
    });
    await rm(file);
    await (await open()).close();
  });

  it('that is damaged is refused by name', async () => {
    const provider = await open();
    await Promise.all(Array.from({ length: 200 }, async (_, index) => put(provider, `key-${index}`, 'x'.repeat(500))));
    await provider.close();
    const file = path.join(directory, 'attune.db');
    const { size } = await stat(file);
    await using handle = await openFile(file, 'r+');
    // The first page, with the schema, stays: the file is one of ours, yet nothing else in it is.
    await handle.write(Buffer.alloc(size - 4_096, 0xa5), 0, size - 4_096, 4_096);
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(`${file} is damaged`) });
  });

  it('that is damaged where it is read fails that read by name', async () => {
    const first = await open();
    await Promise.all(Array.from({ length: 400 }, async (_, index) => put(first, `key-${index}`, 'x'.repeat(500))));
    await first.compact(await first.head(''));
    await first.close();
    const file = path.join(directory, 'attune.db');
    const { size } = await stat(file);
    await using handle = await openFile(file, 'r+');
    // The roots of the tables lie first, the newest versions last: they stay.
    const kept = 10 * 4_096;
    await handle.write(Buffer.alloc(size - 2 * kept, 0xa5), 0, size - 2 * kept, kept);
    await using provider = await open();
    expect(await provider.head('')).toBe(400);
    await expect(provider.list('')).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(`${file} is damaged`) });
    expect(await provider.head('')).toBe(400);
  });

  it('has room in its ids for every operation of a transaction', () => {
    expect(POSITIONS).toBeGreaterThanOrEqual(LOCAL_CAPABILITIES.maxTransactionOperations);
  });

  it('of no bytes is a new store', async () => {
    await writeFile(path.join(directory, 'attune.db'), '');
    await using provider = await open();
    expect(provider.isNew).toBe(true);
    expect(await provider.head('')).toBe(REVISION_ZERO);
  });

  it('can be read by people, with names and texts', async () => {
    const provider = await open();
    await put(provider, 'app/a', '{"a":1}');
    await put(provider, 'app/a', '{"a":2}');
    await put(provider, 'app/b', 'gone');
    await provider.commit({ checks: [], operations: [{ type: 'delete', key: 'app/b' }] });
    await provider.close();
    const database = (await loadSqlite())(path.join(directory, 'attune.db'));
    try {
      expect(database.prepare('SELECT * FROM entries').all()).toEqual([
        expect.objectContaining({ key: 'app/a', value: '{"a":2}', revision: 2, created_revision: 1 }),
      ]);
      expect(
        database
          .prepare('SELECT revision, key FROM versions')
          .all()
          .map((row) => row['revision']),
      ).toEqual([1, 2, 3, 4]);
    } finally {
      database.close();
    }
  });
});

describe('history', () => {
  it('keeps historyLimit revisions, across a restart too, and every present entry', async () => {
    const limited = await open({ historyLimit: 5 });
    for (let round = 0; round < 100; round++) await put(limited, `key-${round % 4}`, String(round));
    await put(limited, 'old');
    expect(await firstAfter(limited, 95)).toBe('COMPACTED');
    expect(await firstAfter(limited, 96)).toBe(97);
    expect((await limited.list('key-', { at: 97 as Revision })).entries.map((entry) => entry.revision)).toEqual([97, 94, 95, 96]);
    await expect(limited.list('', { at: 95 as Revision })).rejects.toMatchObject({ code: 'COMPACTED', details: { oldest: 96 } });
    await limited.close();
    await using again = await open();
    expect(await firstAfter(again, 95)).toBe('COMPACTED');
    expect(await firstAfter(again, 96)).toBe(97);
    expect((await again.list('')).entries).toHaveLength(5);
  });

  it('forgets 64 revisions together where the limit is not small', async () => {
    await using provider = await open({ historyLimit: 512 });
    for (let round = 0; round < 576; round++) await put(provider, 'a', String(round));
    expect(await firstAfter(provider, 0)).toBe(1);
    await put(provider, 'a', 'one more');
    expect(await firstAfter(provider, 64)).toBe('COMPACTED');
    expect(await firstAfter(provider, 65)).toBe(66);
  });

  it('keeps no more than historyBytes of what was written, though fewer revisions stay', async () => {
    await using provider = await open({ historyBytes: 10_000 });
    for (let round = 0; round < 50; round++) await put(provider, 'a', 'x'.repeat(999));
    expect(await firstAfter(provider, 39)).toBe('COMPACTED');
    expect(await firstAfter(provider, 40)).toBe(41);
    await put(provider, 'a', 'x'.repeat(50_000));
    expect(await firstAfter(provider, 49)).toBe('COMPACTED');
    expect(await firstAfter(provider, 50)).toBe(51);
  });

  it('that is over its limits after a restart gets below them as commits go by', async () => {
    const wide = await open();
    await Promise.all(Array.from({ length: 600 }, async (_, index) => put(wide, `key-${index % 3}`)));
    await wide.close();
    await using narrow = await open({ historyLimit: 10 });
    expect(await firstAfter(narrow, 0)).toBe(1);
    for (let round = 0; round < 20; round++) await put(narrow, 'a');
    expect(await firstAfter(narrow, 609)).toBe('COMPACTED');
    expect(await firstAfter(narrow, 610)).toBe(611);
  });

  it('keeps the room of what it forgot for what comes', async () => {
    const provider = await open({ historyLimit: 20 });
    const file = path.join(directory, 'attune.db');
    const sizes: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (let write = 0; write < 10; write++) {
        await Promise.all(Array.from({ length: 20 }, async (_, index) => put(provider, `key-${index % 10}`, 'x'.repeat(2_000))));
        await provider.commit({ checks: [], operations: [{ type: 'delete', key: `key-${write}` }] });
      }
      await runSql('PRAGMA wal_checkpoint(TRUNCATE)');
      sizes.push((await stat(file)).size);
    }
    await provider.close();
    expect(sizes.at(-1)).toBeLessThanOrEqual((sizes[0] ?? 0) * 1.2);
  });

  it('that was compacted in steps counts no more for historyBytes', async () => {
    await using provider = await open({ historyBytes: 4_100_000 });
    const operations = Array.from({ length: 100 }, (_, index) => ({
      type: 'put' as const,
      key: `key-${index}`,
      value: new Uint8Array(1_000),
    }));
    for (let round = 0; round < 40; round++) await provider.commit({ checks: [], operations });
    await provider.compact(40 as Revision);
    for (let round = 0; round < 40; round++) await provider.commit({ checks: [], operations });
    expect(await firstAfter(provider, 40)).toBe(41);
    await provider.commit({ checks: [], operations });
    expect(await firstAfter(provider, 40)).toBe('COMPACTED');
  });

  it('that was compacted leaves one version of each present key in the file, and nothing of others', async () => {
    await using provider = await open();
    for (let round = 0; round < 60; round++) {
      await put(provider, `kept-${round % 5}`);
      await provider.commit({
        checks: [],
        operations: [
          { type: 'put', key: `gone-${round}`, value: Buffer.from('x') },
          { type: 'delete', key: `gone-${round - 1}` },
        ],
      });
    }
    await provider.compact(await provider.head(''));
    expect(queryFromOutside(path.join(directory, 'attune.db'), 'SELECT count(*), count(value) FROM versions')).toBe('6|6');
    expect((await provider.list('')).entries.map((entry) => entry.key)).toEqual([
      'gone-59',
      'kept-0',
      'kept-1',
      'kept-2',
      'kept-3',
      'kept-4',
    ]);
  });

  it('is delivered from the file and from memory without a seam, no revision cut in two', async () => {
    await using provider = await open();
    const operations = ['a', 'b', 'c'].map((key) => ({ type: 'put' as const, key, value: new Uint8Array(1) }));
    for (let round = 0; round < 3_000; round += 100) {
      await Promise.all(Array.from({ length: 100 }, async () => provider.commit({ checks: [], operations })));
    }
    const batches: string[] = [];
    for await (const batch of provider.watch('', { after: REVISION_ZERO, signal: new AbortController().signal })) {
      batches.push(`${batch.revision}: ${batch.changes.length} changes`);
      if (batch.revision === 3_000) break;
    }
    expect(batches).toEqual(Array.from({ length: 3_000 }, (_, index) => `${index + 1}: 3 changes`));
  });
});

describe('the life of an embedded provider', () => {
  it('begins with open: before it nothing works, and says so', async () => {
    const provider = new EmbeddedProvider(directory);
    await expect(provider.read(['a'])).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('is not open yet') });
    await expect(put(provider, 'a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await firstAfter(provider, 0)).toBe('UNAVAILABLE');
    await Promise.all([provider.open(), provider.open()]);
    await provider.open();
    await put(provider, 'a');
    await provider.close();
  });

  it('may begin after a failed open', async () => {
    const holder = await open();
    const provider = new EmbeddedProvider(directory);
    await expect(provider.open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await holder.close();
    await provider.open();
    expect(await put(provider, 'a')).toBe(1);
    await provider.close();
  });

  it('may end while it opens: the directory is free afterwards', async () => {
    const provider = new EmbeddedProvider(directory);
    const opening = provider.open();
    await provider.close();
    await expect(opening).rejects.toMatchObject({ code: 'CLOSED' });
    await (await open()).close();
  });

  it('leaves nothing that keeps the process alive', () => {
    const script = path.join(import.meta.dirname, 'open-watch-close.ts');
    for (const end of ['close', 'leave-open']) {
      const result = spawnSync(process.execPath, ['--import', 'tsx', script, path.join(directory, end), end], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      expect([result.status, result.signal, result.stderr, result.stdout]).toEqual([0, null, '', 'done\n']);
    }
  });

  it('refuses what it could not tell from another key', async () => {
    await using provider = await open();
    await put(provider, 'a');
    await expect(put(provider, 'a\0b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await provider.read(['a\0b', 'a\ud800', 'a'])).entries.map((entry) => entry.key)).toEqual(['a']);
    expect((await provider.list('a\0')).entries).toEqual([]);
  });
});
