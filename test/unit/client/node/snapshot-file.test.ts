import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { LastKnown } from '../../../../src/client/durable.ts';
import { MAX_SNAPSHOT_BYTES, RETRY_INTERVAL_MS, SnapshotFile, WRITE_INTERVAL_MS } from '../../../../src/client/node/snapshot-file.ts';
import { formatSnapshot } from '../../../../src/client/node/snapshot-format.ts';
import { eventually } from '../../../support/eventually.ts';
import { FakeClock } from '../fake-clock.ts';
import { asNobody, asOwner } from './as-nobody.ts';
import { knownState } from './known-state.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { withoutRoomAbove } from './without-room.ts';

const PREFIXES = ['app/'];
const KEY = new Uint8Array(32).fill(7);

interface Bench {
  readonly path: string;
  readonly clock: FakeClock;
  readonly file: SnapshotFile;
  readonly errors: unknown[];
  /** How often a state was asked for. */
  readonly asked: () => number;
  /** Tells that `revision` is the state now. */
  readonly change: (revision: number) => void;
  /** The revision in the file. */
  readonly stored: () => number;
}

function createBench(path = join(temporaryFolder(), 'snapshot.json')): Bench {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const file = new SnapshotFile({ path, clock, onError: (error) => errors.push(error) });
  let current: LastKnown = knownState(0);
  let asked = 0;
  const state = (): LastKnown => {
    asked++;
    return current;
  };
  const change = (revision: number): void => {
    current = knownState(revision);
    file.changed(PREFIXES, state);
  };
  const stored = (): number =>
    existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { payload: LastKnown }).payload.revision : -1;
  return { path, clock, file, errors, asked: () => asked, change, stored };
}

const loadWith = async (path: string, options: { readonly encryptionKey?: Uint8Array | string } = {}, prefixes = PREFIXES) => {
  const errors: Error[] = [];
  const state = await new SnapshotFile({ path, ...options, onError: (error) => errors.push(error as Error) }).load(prefixes);
  return { state, errors };
};

async function save(path: string, state: LastKnown, encryptionKey?: Uint8Array | string): Promise<void> {
  const file = new SnapshotFile({ path, ...(encryptionKey !== undefined && { encryptionKey }) });
  file.changed(PREFIXES, () => state);
  await file.close();
}

describe('SnapshotFile', () => {
  it('gives the next run what the last one knew', async () => {
    const path = join(temporaryFolder(), 'snapshot.json');
    expect(await loadWith(path)).toEqual({ state: undefined, errors: [] });
    await save(path, knownState(5));
    expect(await loadWith(path)).toEqual({ state: knownState(5), errors: [] });
  });

  it('is for its owner only, whatever it was before, and leaves nothing beside it', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'snapshot.json');
    writeFileSync(path, '', { mode: 0o666 });
    chmodSync(path, 0o666);
    await save(path, knownState(1));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['snapshot.json']);
  });

  it('creates the folders that are missing, for their owner only', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'a', 'b', 'snapshot.json');
    await save(path, knownState(3));
    expect((await loadWith(path)).state).toEqual(knownState(3));
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
  });

  it('replaces a link and leaves alone what it leads to', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'precious'), 'precious');
    symlinkSync('precious', join(folder, 'snapshot.json'));
    await save(join(folder, 'snapshot.json'), knownState(1));
    expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('precious');
    expect((await loadWith(join(folder, 'snapshot.json'))).state).toEqual(knownState(1));
  });

  it.each([
    ['bytes', KEY],
    ['base64', Buffer.from(KEY).toString('base64')],
    ['base64 of URLs, without padding', Buffer.from(KEY).toString('base64url')],
    ['hexadecimal digits', Buffer.from(KEY).toString('hex')],
  ])('is encrypted with a key of %s', async (_name, encryptionKey) => {
    const path = join(temporaryFolder(), 'snapshot.json');
    await save(path, knownState(5), encryptionKey);
    expect(readFileSync(path, 'utf8')).not.toContain('revision');
    expect(await loadWith(path, { encryptionKey: KEY })).toEqual({ state: knownState(5), errors: [] });
  });

  it('keeps a copy of the key', async () => {
    const path = join(temporaryFolder(), 'snapshot.json');
    const encryptionKey = Uint8Array.from(KEY);
    const file = new SnapshotFile({ path, encryptionKey });
    encryptionKey.fill(0);
    file.changed(PREFIXES, () => knownState(1));
    await file.close();
    expect((await loadWith(path, { encryptionKey: KEY })).state).toEqual(knownState(1));
  });

  it.each([new Uint8Array(31), 'secret-word', 'ab'.repeat(31), '', '!'.repeat(44), Buffer.from('x'.repeat(33)).toString('base64')])(
    'refuses a key that is none, without showing it: %j',
    (encryptionKey) => {
      const construct = (): unknown => new SnapshotFile({ path: 'snapshot.json', encryptionKey });
      expect(construct).toThrow(/^encryptionKey is (\d+ bytes|neither bytes nor base64 nor hexadecimal text); give 32 bytes/);
      if (encryptionKey.length > 0) expect(construct).not.toThrow(String(encryptionKey));
    },
  );

  it.each(['', 'a\0b', undefined])('refuses a path that is none: %j', (path) => {
    expect(() => new SnapshotFile({ path: path as string })).toThrow(/^snapshotFile is .*; give the path of a file$/);
  });
});

describe('a file that cannot be trusted', () => {
  const SAVED = formatSnapshot(PREFIXES, knownState(5), undefined);

  it.each([
    ['is empty', '', 'PROTOCOL', 'it is not a snapshot file'],
    ['is something else', '{"name":"package"}', 'PROTOCOL', 'it is not a snapshot file'],
    ['was cut off', SAVED.slice(0, -10), 'PROTOCOL', 'it was cut off or changed'],
    ['was edited', SAVED.replace('me', 'you'), 'PROTOCOL', 'it was cut off or changed: its checksum does not match'],
    ['is of another version', SAVED.replace('1', '3'), 'PROTOCOL', 'it is of version 3, this SDK reads version 1'],
    ['is not UTF-8', Buffer.from([0x80]), 'UNAVAILABLE', 'The encoded data was not valid for encoding utf-8'],
  ])('because it %s is ignored with a warning, and then written anew', async (_name, content, code, why) => {
    const path = join(temporaryFolder(), 'snapshot.json');
    writeFileSync(path, content);
    const { state, errors } = await loadWith(path);
    expect(state).toBeUndefined();
    expect(errors).toMatchObject([{ code, message: `the snapshot file ${path} is ignored: ${why}`, details: { file: path } }]);
    await save(path, knownState(6));
    expect((await loadWith(path)).state).toEqual(knownState(6));
  });

  it('because of its prefixes, its key, or the lack of one, is ignored with a warning', async () => {
    const folder = temporaryFolder();
    await save(join(folder, 'plain'), knownState(1));
    await save(join(folder, 'sealed'), knownState(1), KEY);
    const why = async (...args: Parameters<typeof loadWith>): Promise<string | undefined> => {
      const { state, errors } = await loadWith(...args);
      expect(state).toBeUndefined();
      expect(errors).toHaveLength(1);
      return errors[0]?.message;
    };
    expect(await why(join(folder, 'plain'), {}, ['other/'])).toMatch("it is of the prefix 'app/', this client's is 'other/'");
    expect(await why(join(folder, 'plain'), { encryptionKey: KEY })).toMatch('it is not encrypted, and an encryptionKey is given');
    expect(await why(join(folder, 'sealed'))).toMatch('it is encrypted, and no encryptionKey is given');
    const wrong = new Uint8Array(32).fill(8);
    const message = await why(join(folder, 'sealed'), { encryptionKey: wrong });
    expect(message).toMatch('it was encrypted with another key, or was changed');
    expect(message).not.toMatch(Buffer.from(wrong).toString('base64'));
  });

  it('because it is no file is ignored with a warning: a folder, a device, a pipe nobody writes to', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'folder'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const path of [join(folder, 'folder'), join(folder, 'pipe'), '/dev/zero']) {
      const { state, errors } = await loadWith(path);
      expect(state).toBeUndefined();
      expect(errors).toMatchObject([{ code: 'UNAVAILABLE', message: expect.stringMatching(/is not an ordinary file|EISDIR/) }]);
    }
  });

  it('because it is too large is not read', async () => {
    const path = join(temporaryFolder(), 'snapshot.json');
    writeFileSync(path, '');
    truncateSync(path, MAX_SNAPSHOT_BYTES + 1);
    const { errors } = await loadWith(path);
    expect(errors).toMatchObject([{ code: 'UNAVAILABLE', message: expect.stringContaining(`at most ${MAX_SNAPSHOT_BYTES} are read`) }]);
  });

  it('harms nobody when the listener throws', async () => {
    const warnings: unknown[] = [];
    const { warn } = console;
    console.warn = (error: unknown) => warnings.push(error);
    onTestFinished(() => void (console.warn = warn));
    const path = join(temporaryFolder(), 'snapshot.json');
    writeFileSync(path, 'nonsense');
    const failure = new Error('the listener failed');
    const onError = (): never => {
      throw failure;
    };
    expect(await new SnapshotFile({ path, onError }).load(PREFIXES)).toBeUndefined();
    expect(warnings).toEqual([failure]);
  });
});

describe('writing', () => {
  it('happens at once, then once a second, and the last state is always written', async () => {
    const { clock, change, stored, asked, file } = createBench();
    const pausing = clock.next(WRITE_INTERVAL_MS);
    change(1);
    await eventually(() => expect(stored()).toBe(1));
    for (let revision = 2; revision <= 50; revision++) change(revision);
    await pausing;
    expect(clock.pending).toEqual([WRITE_INTERVAL_MS]);
    clock.advance(WRITE_INTERVAL_MS - 1);
    expect(clock.pending).toEqual([WRITE_INTERVAL_MS]);
    expect(asked()).toBe(1);
    const pausingAgain = clock.next(WRITE_INTERVAL_MS);
    clock.advance(1);
    await eventually(() => expect(stored()).toBe(50));
    change(51);
    await pausingAgain;
    expect(asked()).toBe(2);
    clock.advance(WRITE_INTERVAL_MS);
    await eventually(() => expect(stored()).toBe(51));
    await file.close();
    expect(asked()).toBe(3);
    expect(clock.pending).toEqual([]);
  });

  it('waits for what is left of the second since a write began, or longer where writing takes more than a tenth of the time', async () => {
    for (const [tookMs, leftMs] of [
      [50, 950],
      [500, 4_500],
    ] as const) {
      const { clock, file } = createBench();
      const pausing = clock.next(leftMs);
      file.changed(PREFIXES, () => {
        clock.advance(tookMs);
        file.changed(PREFIXES, () => knownState(2));
        return knownState(1);
      });
      await pausing;
      expect(clock.pending).toEqual([leftMs]);
    }
  });

  it('waits a second, not an hour, when the clock is set back by an hour', async () => {
    const { clock, file, stored } = createBench();
    const pausing = clock.next(WRITE_INTERVAL_MS);
    file.changed(PREFIXES, () => {
      clock.advance(-3_600_000);
      file.changed(PREFIXES, () => knownState(2));
      return knownState(1);
    });
    await pausing;
    clock.advance(WRITE_INTERVAL_MS);
    await eventually(() => expect(stored()).toBe(2));
  });

  it('takes along what changed while the file was being opened', async () => {
    const { change, stored, asked, file } = createBench();
    change(1);
    change(2);
    await file.close();
    expect(stored()).toBe(2);
    expect(asked()).toBe(1);
  });

  it('goes on until it is done when the file is closed, and not afterwards', async () => {
    const { clock, change, stored, asked, file } = createBench();
    change(1);
    await eventually(() => expect(stored()).toBe(1));
    change(2);
    const closing = file.close();
    expect(file.close()).toBe(closing);
    change(3);
    await closing;
    // What the state is when it is asked for.
    expect(stored()).toBe(3);
    change(4);
    clock.advance(60_000);
    await file.close();
    expect(stored()).toBe(3);
    expect(asked()).toBe(2);
    expect(clock.pending).toEqual([]);
  });

  it('by several clients at once leaves the whole file of one of them', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'snapshot.json');
    for (let round = 0; round < 20; round++) {
      await Promise.all([1, 2, 3, 4, 5].map((client) => save(path, knownState(client, client * 50))));
      const { state, errors } = await loadWith(path);
      expect(errors).toEqual([]);
      expect(state).toEqual(knownState(state?.revision ?? 0, (state?.revision ?? 0) * 50));
    }
    expect(readdirSync(folder)).toEqual(['snapshot.json']);
  });

  it('keeps no process alive while it waits', () => {
    const script = `
      import { SnapshotFile } from './src/client/node/snapshot-file.ts';
      const file = new SnapshotFile({ path: process.argv[1] });
      const state = (revision) => () => ({ savedAt: 1, revision, items: [] });
      file.changed(['app/'], state(1));
      setTimeout(() => file.changed(['app/'], state(2)), 100);
      process.on('exit', () => console.log(performance.now() - ready < 800));
      const ready = performance.now();
    `;
    const path = join(temporaryFolder(), 'snapshot.json');
    expect(
      execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, path], { encoding: 'utf8', timeout: 8_000 }),
    ).toBe('true\n');
    expect(readFileSync(path, 'utf8')).toContain('"revision":1,');
  });
});

describe('a file that cannot be written', () => {
  it('is reported once for each reason, tried again every ten seconds, and reported anew after it worked', async () => {
    const folder = temporaryFolder();
    const { clock, change, stored, errors, path } = createBench(join(folder, 'state', 'snapshot.json'));
    const failing = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) {
        const retrying = clock.next(RETRY_INTERVAL_MS);
        if (time === 0) change(1);
        else clock.advance(RETRY_INTERVAL_MS);
        await retrying;
      }
    };
    // In the place of the folder.
    writeFileSync(join(folder, 'state'), '');
    await failing(3);
    expect(errors).toHaveLength(1);
    expect(errors).toMatchObject([
      {
        code: 'UNAVAILABLE',
        details: { file: path },
        message: expect.stringMatching(/^the snapshot file .* cannot be written: E.*; tried again every 10 s$/),
      },
    ]);
    // In the place of the file: another reason.
    rmSync(join(folder, 'state'));
    mkdirSync(path, { recursive: true });
    clock.advance(RETRY_INTERVAL_MS);
    await eventually(() => expect(errors).toHaveLength(2));
    expect(errors[1]).toMatchObject({ message: expect.stringContaining('there is something else than a file') });
    // A newer state does not hasten it.
    change(2);
    await eventually(() => expect(clock.pending).toEqual([RETRY_INTERVAL_MS]));
    rmSync(path, { recursive: true });
    clock.advance(RETRY_INTERVAL_MS);
    await eventually(() => expect(stored()).toBe(2));
    expect(readdirSync(join(folder, 'state'))).toEqual(['snapshot.json']);
    rmSync(path);
    mkdirSync(path);
    change(3);
    await eventually(() => expect(clock.pending).toEqual([WRITE_INTERVAL_MS]));
    clock.advance(WRITE_INTERVAL_MS);
    await eventually(() => expect(errors).toHaveLength(3));
  });

  it('for lack of the right to is reported, and written as soon as there is one', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o555);
    await asNobody(async () => {
      const { clock, change, stored, errors } = createBench(join(folder, 'snapshot.json'));
      change(1);
      await eventually(() => expect(clock.pending).toEqual([RETRY_INTERVAL_MS]));
      expect(errors).toMatchObject([{ cause: { code: 'EACCES' } }]);
      asOwner(() => chmodSync(folder, 0o777));
      clock.advance(RETRY_INTERVAL_MS);
      await eventually(() => expect(stored()).toBe(1));
    });
  });

  it('for lack of the right to read it is ignored with a warning', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const path = join(folder, 'snapshot.json');
    await save(path, knownState(1));
    chmodSync(path, 0o000);
    await asNobody(async () => {
      const { state, errors } = await loadWith(path);
      expect(state).toBeUndefined();
      expect(errors).toMatchObject([{ code: 'UNAVAILABLE', cause: { code: 'EACCES' } }]);
    });
  });

  it('for lack of room stays what it was, and nothing is left beside it', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'snapshot.json');
    await save(path, knownState(1));
    const errors: unknown[] = [];
    await withoutRoomAbove(4_096, async () => {
      const file = new SnapshotFile({ path, onError: (error) => errors.push(error) });
      file.changed(PREFIXES, () => knownState(2, 1_000));
      await file.close();
    });
    expect(errors).toMatchObject([{ cause: { code: 'EFBIG' } }]);
    expect(readdirSync(folder)).toEqual(['snapshot.json']);
    expect((await loadWith(path)).state).toEqual(knownState(1));
  });

  it('because there is no state to be had is reported and tried again', async () => {
    const { clock, file, errors, stored } = createBench();
    let tries = 0;
    file.changed(PREFIXES, () => {
      if (++tries === 1) throw new Error('not now');
      return knownState(9);
    });
    await eventually(() => expect(clock.pending).toEqual([RETRY_INTERVAL_MS]));
    expect(errors).toMatchObject([{ cause: { message: 'not now' } }]);
    clock.advance(RETRY_INTERVAL_MS);
    await eventually(() => expect(stored()).toBe(9));
  });

  it('never takes the place of a pipe, or of a device such as /dev/null', async () => {
    // A pipe of the test's own: with the check gone, a test with /dev/null would take that away from the whole machine.
    const path = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [path]);
    const errors: unknown[] = [];
    const file = new SnapshotFile({ path, onError: (error) => errors.push(error) });
    file.changed(PREFIXES, () => knownState(1));
    await file.close();
    expect(errors).toMatchObject([{ message: expect.stringContaining('there is something else than a file') }]);
    expect(statSync(path).isFIFO()).toBe(true);
  });
});

describe('what a killed process left beside the file', () => {
  it('is removed with the first write, unless another may still be writing it', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'snapshot.json');
    const leave = (name: string, ageMs: number): void => {
      writeFileSync(join(folder, name), 'part of a sna');
      const at = (Date.now() - ageMs) / 1_000;
      utimesSync(join(folder, name), at, at);
    };
    leave('snapshot.json.123.0123456789ab.tmp', 70_000);
    leave('snapshot.json.124.0123456789ab.tmp', 50_000);
    leave('snapshot.json.tmp', 70_000);
    leave('snapshot.json.123.0123456789ab.tmp.mine', 70_000);
    leave('my-snapshot.json.123.0123456789ab.tmp', 70_000);
    await save(path, knownState(1));
    expect(readdirSync(folder).sort()).toEqual([
      'my-snapshot.json.123.0123456789ab.tmp',
      'snapshot.json',
      'snapshot.json.123.0123456789ab.tmp.mine',
      'snapshot.json.124.0123456789ab.tmp',
      'snapshot.json.tmp',
    ]);
  });
});
