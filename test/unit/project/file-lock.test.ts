import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { lockFile } from '../../../scripts/file-lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('lets one holder in at a time', async () => {
  const path = join(folder, 'deeper', 'a.lock');
  let inside = 0;
  const most: number[] = [];
  const visit = async (): Promise<void> => {
    await using _ = await lockFile(path);
    most.push(++inside);
    // A turn of the event loop and a second lock: enough for another holder to come in if it could.
    await using __ = await lockFile(join(folder, 'other.lock'));
    inside--;
  };
  await Promise.all([visit(), visit(), visit()]);
  expect(most).toEqual([1, 1, 1]);
});

it('says why it cannot lock', async () => {
  await expect(lockFile('/proc/self/no.lock')).rejects.toThrow('cannot lock /proc/self/no.lock');
});
