import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, expectTypeOf, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import * as core from '../../src/client/index.ts';
import * as node from '../../src/client/node/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';

const { ConfigClient, fromEnv } = node;
const NOBODY = 'http://127.0.0.1:1';
const FAST = { backoff: { baseMs: 5, maxMs: 20, factor: 2 }, onError: () => undefined } as const;
const SOON = { timeoutMs: 200 } as const;
const KEY = 'ab'.repeat(32);

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attune-client-node-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('a snapshot file', () => {
  test.each([
    ['plain', (path: string) => path],
    ['encrypted', (path: string) => ({ path, encryptionKey: KEY })],
  ])('%s serves the next start, when there is no server', async (_name, optionOf) => {
    const snapshotFile = optionOf(join(temporaryFolder(), 'state', 'snapshot.json'));
    const service = await HttpService.start();
    const first = await ConfigClient.connect({ url: service.url, prefix: ['app/'], snapshotFile, ...FAST });
    await first.set('app/a', { deep: [1, 'ü'] });
    await first.set('app/b', 'gone');
    await first.delete('app/b');
    await first.close();
    await service[Symbol.asyncDispose]();

    await using second = await ConfigClient.connect({ url: NOBODY, prefix: 'app/', snapshotFile, ...FAST }, SOON);
    expect([second.get('app/a'), second.get('app/b'), second.status]).toMatchObject([
      { deep: [1, 'ü'] },
      undefined,
      { state: 'stale', source: 'file' },
    ]);
  });

  test('is there soon after a change, without a close', async () => {
    await using service = await HttpService.start();
    const path = join(temporaryFolder(), 'snapshot.json');
    await using config = await ConfigClient.connect({ url: service.url, prefix: '', snapshotFile: path, ...FAST });
    await config.set('app/a', 'a-value');
    await eventually(() => expect(readFileSync(path, 'utf8')).toContain('a-value'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('that cannot be trusted is reported, and the defaults serve', async () => {
    const path = join(temporaryFolder(), 'snapshot.json');
    writeFileSync(path, 'nonsense');
    const errors: unknown[] = [];
    const schema = { 'app/a': z.number().default(5) };
    const options = {
      url: NOBODY,
      prefix: 'app/',
      schema,
      snapshotFile: path,
      ...FAST,
      onError: (error: unknown) => void errors.push(error),
    };
    await using config = await ConfigClient.connect(options, SOON);
    expect([config.get('app/a'), config.status]).toMatchObject([5, { state: 'stale', source: 'defaults' }]);
    expect(errors).toContainEqual(expect.objectContaining({ code: 'PROTOCOL', details: { file: path } }));
  });
});

describe('an overrides file', () => {
  test('wins over the server as long as it stands there', async () => {
    await using service = await HttpService.start();
    const overridesFile = join(temporaryFolder(), 'overrides.json');
    writeFileSync(overridesFile, '{ "app/size": 50, "other/key": 1 }');
    await using config = await ConfigClient.connect({ url: service.url, prefix: 'app/', overridesFile, ...FAST });
    const seen: unknown[] = [];
    config.watch('app/size', (value) => seen.push(value), { immediate: true });
    expect(config.get('app/size')).toBe(50);
    writeFileSync(overridesFile, '{ "app/size": 60 }');
    await eventually(() => expect(config.get('app/size')).toBe(60));
    rmSync(overridesFile);
    await eventually(() => expect(config.get('app/size')).toBeUndefined());
    expect(seen).toEqual([50, 60, undefined]);
  });

  test('wins over the snapshot file, which does not take its values in', async () => {
    const folder = temporaryFolder();
    const [snapshotFile, overridesFile] = [join(folder, 'snapshot.json'), join(folder, 'overrides.json')];
    writeFileSync(overridesFile, '{ "app/size": 50 }');
    const service = await HttpService.start();
    const first = await ConfigClient.connect({ url: service.url, prefix: 'app/', snapshotFile, overridesFile, ...FAST });
    await first.set('app/size', 10);
    await first.close();
    await service[Symbol.asyncDispose]();
    await using second = await ConfigClient.connect({ url: NOBODY, prefix: 'app/', snapshotFile, overridesFile, ...FAST }, SOON);
    expect(second.get('app/size')).toBe(50);
    rmSync(overridesFile);
    await eventually(() => expect(second.get('app/size')).toBe(10));
  });
});

describe('failures of the files', () => {
  test('are heard by listeners that were added later, and no longer by those that were removed', async () => {
    const overridesFile = join(temporaryFolder(), 'overrides.json');
    await using service = await HttpService.start();
    const heard: string[] = [];
    const config = new ConfigClient({ url: service.url, prefix: '', overridesFile, onError: () => heard.push('option') });
    onTestFinished(() => config.close());
    const stop = config.onError(() => heard.push('removed'));
    config.onError(() => heard.push('later'));
    stop();
    await config.start();
    writeFileSync(overridesFile, '[]');
    await eventually(() => expect(heard).toEqual(['option', 'later']));
  });

  test('of the connection are heard once by each', async () => {
    const heard: string[] = [];
    const config = new ConfigClient({ url: NOBODY, prefix: '', backoff: { baseMs: 60_000, maxMs: 60_000, factor: 1 }, random: () => 1 });
    onTestFinished(() => config.close());
    config.onError(() => heard.push('one'));
    config.onError(() => {
      heard.push('other');
    });
    await config.start(SOON).catch(() => undefined);
    expect(heard).toEqual(['one', 'other']);
  });
});

describe('the options', () => {
  const options = { url: NOBODY, prefix: '' };
  const store = { load: async () => undefined, changed: () => undefined, close: async () => undefined };
  const source = { open: async () => undefined, close: async () => undefined };

  test.each([
    [{ snapshotFile: 'a', lastKnown: store }, 'both snapshotFile and lastKnown are given; leave one out'],
    [{ overridesFile: 'a', overrides: source }, 'both overridesFile and overrides are given; leave one out'],
    [{ snapshotFile: '/tmp/x/../a', overridesFile: '/tmp/a' }, 'snapshotFile and overridesFile are both /tmp/a; give each its own file'],
    [{ snapshotFile: '' }, "snapshotFile is ''; give the path of a file"],
    [{ overridesFile: '' }, "overridesFile is ''; give the path of a file"],
    [{ snapshotFile: { path: 'a', encryptionKey: 'short' } }, /^encryptionKey is 3 bytes; give 32 bytes/],
  ])('that contradict each other, or are wrong, are refused: %j', (wrong, message) => {
    expect(() => new ConfigClient({ ...options, ...wrong })).toThrow(message);
  });

  test('of the environment complete a client', async () => {
    await using service = await HttpService.start();
    await using config = await ConfigClient.connect({ ...fromEnv({ ATTUNE_URL: service.url, ATTUNE_TOKEN: 'secret' }), prefix: '' });
    expect(config.status.state).toBe('live');
  });

  test('touch no file before the start', () => {
    const path = join(temporaryFolder(), 'none', 'snapshot.json');
    const config = new ConfigClient({ ...options, snapshotFile: path, overridesFile: `${path}.overrides` });
    expect(statSync(join(path, '..'), { throwIfNoEntry: false })).toBeUndefined();
    return config.close();
  });
});

describe('the door', () => {
  test('has all of the core, with a client of its own', () => {
    expect(Object.keys(node)).toEqual(expect.arrayContaining(Object.keys(core)));
    expect(node.ConfigClient).not.toBe(core.ConfigClient);
    expect(new node.ConfigClient({ url: NOBODY, prefix: '' })).toBeInstanceOf(core.ConfigClient);
  });

  test('is typed as the core is', () => {
    const connect = () => ConfigClient.connect({ url: NOBODY, prefix: 'a', schema: { 'a/n': z.number().default(1) }, snapshotFile: 'x' });
    expectTypeOf<Awaited<ReturnType<typeof connect>>['get']>().parameter(0).toEqualTypeOf<'a/n'>();
    expectTypeOf(connect).returns.resolves.toExtend<InstanceType<typeof ConfigClient<{ 'a/n': z.ZodDefault<z.ZodNumber> }>>>();
    const read = (client: Awaited<ReturnType<typeof connect>>) => client.get('a/n');
    expectTypeOf(read).returns.toEqualTypeOf<number>();
    // @ts-expect-error no such option
    void (() => ConfigClient.connect({ url: NOBODY, prefix: '', snapshotfile: 'x' }));
  });
});
