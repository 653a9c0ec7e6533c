import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import type { ConfigProvider } from '../../src/core/provider.ts';
import { EmbeddedProvider } from '../../src/providers/embedded/embedded-provider.ts';

const directories: string[] = [];

// Registered with the file of tests that imports this one.
afterAll(async () => {
  await Promise.all(directories.map((directory) => rm(directory, { recursive: true, force: true })));
});

/** Opens an empty store in a folder of its own, which is removed after the last test. */
export async function createEmbedded(): Promise<ConfigProvider> {
  const directory = await mkdtemp(path.join(tmpdir(), 'attune-model-'));
  directories.push(directory);
  const provider = new EmbeddedProvider(directory);
  await provider.open();
  return provider;
}
