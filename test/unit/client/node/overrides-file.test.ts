import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { JsonValue } from '../../../../src/core/item.ts';
import { DEBOUNCE_MS, DOUBT_MS, MAX_OVERRIDES_BYTES, OverridesFile, POLL_INTERVAL_MS } from '../../../../src/client/node/overrides-file.ts';
import { eventually } from '../../../support/eventually.ts';
import { FakeClock } from '../fake-clock.ts';
import { asNobody, asOwner } from './as-nobody.ts';
import { temporaryFolder } from './temporary-folder.ts';

type Told = Readonly<Record<string, JsonValue>>;

interface Bench {
  readonly file: OverridesFile;
  readonly clock: FakeClock;
  /** All that was told, in order. */
  readonly told: readonly Told[];
  readonly errors: readonly Error[];
  /** Makes a change of which the system tells, and lets the file be looked at for it. */
  readonly seen: (change: () => void) => Promise<void>;
  /** Lets so much time pass, and the looks that are due in it. */
  readonly pass: (ms: number) => Promise<void>;
}

async function openBench(path: string): Promise<Bench> {
  const clock = new FakeClock();
  const errors: Error[] = [];
  const told: Told[] = [];
  const file = new OverridesFile({ path, clock, onError: (error) => errors.push(error as Error) });
  onTestFinished(() => file.close());
  await file.open((values) => told.push(Object.fromEntries(values)));
  // A timer is always set, but while the file is looked at.
  const looked = (): Promise<void> => eventually(() => expect(clock.pending).toHaveLength(1));
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= DEBOUNCE_MS) {
      clock.advance(Math.min(left, DEBOUNCE_MS));
      await looked();
    }
  };
  const seen = async (change: () => void): Promise<void> => {
    while (clock.nextIn <= DEBOUNCE_MS) await pass(DEBOUNCE_MS);
    change();
    await eventually(() => expect(clock.nextIn).toBeLessThanOrEqual(DEBOUNCE_MS));
    await pass(DEBOUNCE_MS);
  };
  return { file, clock, told, errors, seen, pass };
}

describe('OverridesFile', () => {
  it('tells the values before it is open; no file, or no folder, has none', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'overrides.json');
    writeFileSync(path, '{ "billing/pool-size": 50, "billing/plan": { "price": [1, null] }, "billing/none": null }');
    expect((await openBench(path)).told).toEqual([{ 'billing/pool-size': 50, 'billing/plan': { price: [1, null] }, 'billing/none': null }]);
    for (const nowhere of [join(folder, 'other'), join(folder, 'a', 'b'), join(path, 'c')]) {
      const { told, errors } = await openBench(nowhere);
      expect(told).toEqual([{}]);
      expect(errors).toEqual([]);
    }
  });

  it('sees a file appear, change in place, be replaced by an editor, and go', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'overrides.json');
    const { told, errors, seen, pass } = await openBench(path);
    await seen(() => writeFileSync(path, '{"a":1}'));
    await eventually(() => expect(told.at(-1)).toEqual({ a: 1 }));
    await seen(() => writeFileSync(path, '{"a":2}'));
    await eventually(() => expect(told.at(-1)).toEqual({ a: 2 }));
    await seen(() => {
      writeFileSync(join(folder, '.overrides.json.swp'), '{"a":3}');
      renameSync(join(folder, '.overrides.json.swp'), path);
    });
    await eventually(() => expect(told.at(-1)).toEqual({ a: 3 }));
    await seen(() => rmSync(path));
    expect(told.at(-1)).toEqual({ a: 3 });
    await pass(2 * DOUBT_MS);
    await eventually(() => expect(told.at(-1)).toEqual({}));
    expect(told).toEqual([{}, { a: 1 }, { a: 2 }, { a: 3 }, {}]);
    expect(errors).toEqual([]);
  });

  it('sees the link being turned through which Kubernetes mounts it', async () => {
    const folder = temporaryFolder();
    for (const [name, value] of [
      ['..2026_1', 1],
      ['..2026_2', 2],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'overrides.json'), JSON.stringify({ a: value }));
    }
    symlinkSync('..2026_1', join(folder, '..data'));
    symlinkSync('..data/overrides.json', join(folder, 'overrides.json'));
    const { told, seen } = await openBench(join(folder, 'overrides.json'));
    await seen(() => {
      symlinkSync('..2026_2', join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      rmSync(join(folder, '..2026_1'), { recursive: true });
    });
    await eventually(() => expect(told).toEqual([{ a: 1 }, { a: 2 }]));
  });

  it('sees within three seconds what the system does not tell', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'elsewhere'));
    writeFileSync(join(folder, 'elsewhere', 'real.json'), '{"a":1}');
    mkdirSync(join(folder, 'here'));
    symlinkSync('../elsewhere/real.json', join(folder, 'here', 'overrides.json'));
    const { told, pass } = await openBench(join(folder, 'here', 'overrides.json'));
    writeFileSync(join(folder, 'elsewhere', 'real.json'), '{"a":2}');
    await pass(POLL_INTERVAL_MS - DEBOUNCE_MS);
    expect(told).toEqual([{ a: 1 }]);
    await pass(DEBOUNCE_MS);
    await eventually(() => expect(told).toEqual([{ a: 1 }, { a: 2 }]));
  });

  it('follows the folder: one that appears, one that is replaced, one reached through a link that is turned', async () => {
    const folder = temporaryFolder();
    const { told, pass, seen } = await openBench(join(folder, 'current', 'overrides.json'));
    const release = (name: string, value: number): void => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'overrides.json'), JSON.stringify({ a: value }));
      symlinkSync(name, join(folder, 'next'));
      renameSync(join(folder, 'next'), join(folder, 'current'));
    };
    for (const [name, value] of [
      ['1', 10],
      ['2', 20],
    ] as const) {
      release(name, value);
      await pass(POLL_INTERVAL_MS);
      await eventually(() => expect(told.at(-1)).toEqual({ a: value }));
      // Told by the system from now on.
      await seen(() => writeFileSync(join(folder, name, 'overrides.json'), JSON.stringify({ a: value + 1 })));
      await eventually(() => expect(told.at(-1)).toEqual({ a: value + 1 }));
    }
    rmSync(join(folder, '2'), { recursive: true });
    mkdirSync(join(folder, '2'));
    await pass(POLL_INTERVAL_MS + 2 * DOUBT_MS);
    await eventually(() => expect(told.at(-1)).toEqual({}));
    await seen(() => writeFileSync(join(folder, '2', 'overrides.json'), '{"a":30}'));
    await eventually(() => expect(told.at(-1)).toEqual({ a: 30 }));
  });

  it('is not looked at for what happens to other files', async () => {
    const folder = temporaryFolder();
    const { clock, seen } = await openBench(join(folder, 'overrides.json'));
    const witnessed: (string | null)[] = [];
    const witness = watch(folder, (_type, name) => witnessed.push(name));
    onTestFinished(() => witness.close());
    writeFileSync(join(folder, 'other.json'), '{}');
    writeFileSync(join(folder, 'overrides.json.bak'), '{}');
    await eventually(() => expect(witnessed).toContain('overrides.json.bak'));
    expect(clock.nextIn).toBe(POLL_INTERVAL_MS);
    await seen(() => writeFileSync(join(folder, 'overrides.json'), '{}'));
  });

  it('tells nothing where only the spelling changed', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1,"b":{"c":1,"d":2}}');
    const { told, seen } = await openBench(path);
    await seen(() => writeFileSync(path, '\ufeff{\n  "b": { "d": 2, "c": 1.0 },\n  "a": 1\n}\n'));
    await seen(() => writeFileSync(path, '{"a":2}'));
    await eventually(() => expect(told.slice(1)).toEqual([{ a: 2 }]));
  });
});

describe('a file in the middle of being written', () => {
  it('is waited for: empty, then a part, then whole', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const { told, errors, seen, pass } = await openBench(path);
    for (const part of ['', '{', '{"a"', '{"a":']) {
      await seen(() => writeFileSync(path, part));
      await pass(DOUBT_MS - 3 * DEBOUNCE_MS);
    }
    await seen(() => writeFileSync(path, '{"a":2}'));
    await eventually(() => expect(told).toEqual([{ a: 1 }, { a: 2 }]));
    await pass(POLL_INTERVAL_MS);
    expect(errors).toEqual([]);
    expect(told).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('is waited for: removed and made anew', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const { told, seen } = await openBench(path);
    await seen(() => rmSync(path));
    await seen(() => writeFileSync(path, '{"a":2}'));
    await eventually(() => expect(told).toEqual([{ a: 1 }, { a: 2 }]));
  });
});

describe('a file that is not right', () => {
  it.each([
    ['is no JSON', '{"a": hunter2secret}', /^.*: not JSON: Unexpected token 'h'$/],
    ['is empty', '', /not JSON: /],
    ['is a list', '[1]', /it is not a JSON object; write it as \{ "billing\/pool-size": 50 \}$/],
    ['is a number', '1', /it is not a JSON object/],
    ['has a key that is none', '{"a//b": 1}', /it has the key 'a\/\/b', but a key has no empty segment/],
    ['has an empty key', '{"": 1}', /it has the key '', but a key has at least one character$/],
    ['has a key twice', '{"a/b": 1, "a/b": 2}', /at '\/a~1b': this member name stands twice in one object$/],
    ['has a number no reader holds', '{"a": 1e999}', /at '\/a': 1e999 is beyond the range of a number/],
    ['is not UTF-8', Buffer.from('{"a":"\xff"}', 'latin1'), /was not valid for encoding utf-8$/],
    ['is too large', `{"a":"${'x'.repeat(MAX_OVERRIDES_BYTES)}"}`, /bytes, at most 1048576 are read$/],
  ])('because it %s leaves the values as they were, and is reported once', async (_name, content, why) => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const { told, errors, seen, pass } = await openBench(path);
    await seen(() => writeFileSync(path, content));
    expect(errors).toEqual([]);
    await pass(DOUBT_MS + DEBOUNCE_MS);
    await eventually(() => expect(errors).toHaveLength(1));
    expect(errors[0]?.message).toMatch(why);
    expect(errors[0]?.message.startsWith(`the overrides file ${path} is ignored, and what it said before still holds: `)).toBe(true);
    expect(errors[0]?.message).not.toContain('hunter2');
    expect(errors[0]).toMatchObject({ details: { file: path } });
    await pass(3 * POLL_INTERVAL_MS);
    expect(errors).toHaveLength(1);
    expect(told).toEqual([{ a: 1 }]);
    await seen(() => writeFileSync(path, '{"a":2}'));
    await eventually(() => expect(told).toEqual([{ a: 1 }, { a: 2 }]));
    // The same again is news again.
    await seen(() => writeFileSync(path, content));
    await pass(DOUBT_MS + DEBOUNCE_MS);
    await eventually(() => expect(errors).toHaveLength(2));
  });

  it('at the start is reported at once, with no values until it is right', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":');
    const { told, errors, seen } = await openBench(path);
    expect(told).toEqual([{}]);
    expect(errors).toMatchObject([{ code: 'INVALID_ARGUMENT' }]);
    await seen(() => writeFileSync(path, '{"a":1}'));
    await eventually(() => expect(told).toEqual([{}, { a: 1 }]));
    expect(errors).toHaveLength(1);
  });

  it('is reported once for each content', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    const { errors, seen, pass } = await openBench(path);
    for (const [index, content] of ['{', '[', '{'].entries()) {
      await seen(() => writeFileSync(path, content));
      await pass(DOUBT_MS + DEBOUNCE_MS);
      await eventually(() => expect(errors).toHaveLength(index + 1));
    }
  });

  it('because it is a folder, a pipe, or may not be read leaves the values as they were', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const path = join(folder, 'overrides.json');
    writeFileSync(path, '{"a":1}', { mode: 0o644 });
    await asNobody(async () => {
      const { told, errors, pass } = await openBench(path);
      const becomes = async (change: () => void): Promise<void> => {
        asOwner(change);
        await pass(POLL_INTERVAL_MS + DOUBT_MS + DEBOUNCE_MS);
      };
      await becomes(() => chmodSync(path, 0o000));
      await eventually(() => expect(errors).toHaveLength(1));
      await becomes(() => {
        rmSync(path);
        mkdirSync(path);
      });
      await eventually(() => expect(errors).toHaveLength(2));
      await becomes(() => {
        rmSync(path, { recursive: true });
        execFileSync('mkfifo', [path]);
        chmodSync(path, 0o666);
      });
      expect(errors).toMatchObject([
        { code: 'UNAVAILABLE', cause: { code: 'EACCES' } },
        { code: 'UNAVAILABLE', message: expect.stringContaining('it is not an ordinary file') },
      ]);
      expect(told).toEqual([{ a: 1 }]);
    });
  });
});

/** Those of the system that this process holds. */
function countWatches(): number {
  const descriptors = readdirSync('/proc/self/fdinfo').map((name) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${name}`, 'utf8');
    } catch {
      // That of reading the list.
      return '';
    }
  });
  return descriptors.join('').match(/^inotify /gm)?.length ?? 0;
}

describe('the life of an OverridesFile', () => {
  it('ends with close: nothing is told afterwards, no timer is left', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const { file, clock, told } = await openBench(path);
    const watches = countWatches();
    await file.close();
    expect(countWatches()).toBe(watches - 1);
    writeFileSync(path, '{"a":2}');
    expect(clock.pending).toEqual([]);
    // An event of another watch on the same folder shows that this one's would have come.
    const witness = await openBench(path);
    await witness.seen(() => writeFileSync(path, '{"a":3}'));
    expect(clock.pending).toEqual([]);
    expect(told).toEqual([{ a: 1 }]);
    await file.close();
  });

  it('may end while it is being opened, or looks', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const told: unknown[] = [];
    const clock = new FakeClock();
    const file = new OverridesFile({ path, clock });
    const opening = file.open((values) => told.push(values));
    await file.close();
    await opening;
    expect(told).toEqual([]);
    expect(clock.pending).toEqual([]);
    const other = await openBench(path);
    writeFileSync(path, '{"a":2}');
    other.clock.advance(POLL_INTERVAL_MS);
    await other.file.close();
    expect(other.told).toEqual([{ a: 1 }]);
    expect(other.clock.pending).toEqual([]);
  });

  it('goes on when who is told throws', async () => {
    const path = join(temporaryFolder(), 'overrides.json');
    const clock = new FakeClock();
    const errors: unknown[] = [];
    const file = new OverridesFile({ path, clock, onError: (error) => errors.push(error) });
    onTestFinished(() => file.close());
    const failure = new Error('the listener failed');
    let calls = 0;
    await file.open(() => {
      calls++;
      throw failure;
    });
    writeFileSync(path, '{"a":1}');
    clock.advance(POLL_INTERVAL_MS);
    await eventually(() => expect(calls).toBe(2));
    expect(errors).toEqual([failure, failure]);
  });

  it('keeps no process alive', () => {
    const script = `
      import { OverridesFile } from './src/client/node/overrides-file.ts';
      const file = new OverridesFile({ path: process.argv[1] });
      await file.open((values) => console.log([...values]));
      const ready = performance.now();
      process.on('exit', () => console.log(performance.now() - ready < 1_000));
    `;
    const path = join(temporaryFolder(), 'overrides.json');
    writeFileSync(path, '{"a":1}');
    const args = ['--import', 'tsx', '--input-type=module', '-e', script, path];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 8_000 })).toBe("[ [ 'a', 1 ] ]\ntrue\n");
  });

  it.each(['', 'a\0b', undefined])('does not begin with a path that is none: %j', (path) => {
    expect(() => new OverridesFile({ path: path as string })).toThrow(/^overridesFile is .*; give the path of a file$/);
  });
});
