import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmbeddedProvider } from '../../../src/providers/embedded/embedded-provider.ts';
import { openProvider } from '../../../src/providers/open-provider.ts';

describe('a provider URL', () => {
  it.each([
    ['memory:', undefined, 'memory', undefined],
    ['memory', undefined, 'memory', undefined],
    ['embedded', undefined, 'embedded', './data'],
    ['embedded:', undefined, 'embedded', './data'],
    ['embedded', '/var/lib/attune', 'embedded', '/var/lib/attune'],
    ['embedded:./elsewhere', undefined, 'embedded', './elsewhere'],
    ['embedded:/var/lib/attune', undefined, 'embedded', '/var/lib/attune'],
    ['embedded:C:\\attune data', undefined, 'embedded', 'C:\\attune data'],
  ])('%s with data directory %s opens the %s provider at %s', (url, dataDir, name, directory) => {
    const opened = openProvider(url, { dataDir });
    expect(opened.provider.name).toBe(name);
    expect(opened.namespace).toBe('app/config');
    expect(opened.provider instanceof EmbeddedProvider ? opened.provider.directory : undefined).toBe(directory);
  });

  it.each([
    ['memory:x', undefined, "provider 'memory:x': memory: takes nothing after the colon; its content ends with the process"],
    ['memory:', './d', "provider 'memory:' keeps nothing on disk, yet --data-dir ./d is given; leave one out"],
    ['embedded:./a', './b', "provider 'embedded:./a' names its folder, and --data-dir ./b another one; leave one out"],
    ['embedded://data', undefined, "provider 'embedded://data' looks like a host; write embedded:./data or embedded:/data"],
  ])('%s with data directory %s is refused: %s', (url, dataDir, message) => {
    expect(() => openProvider(url, { dataDir })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message }));
  });

  it('creates nothing until it is opened, and then tells whether the store is new', async () => {
    const parent = await mkdtemp(path.join(tmpdir(), 'attune-url-'));
    const directory = path.join(parent, 'data');
    const first = openProvider(`embedded:${directory}`);
    await first.provider.close();
    const second = openProvider(`embedded:${directory}`);
    await second.provider.open();
    expect(second.describe()).toBe(`embedded store ${directory} (new)`);
    await second.provider.close();
    const third = openProvider('embedded', { dataDir: directory });
    await third.provider.open();
    expect(third.describe()).toBe(`embedded store ${directory}`);
    await third.provider.close();
    await rm(parent, { recursive: true });
  });
});
