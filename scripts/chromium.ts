import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import { bringDebianProgram } from './debian-program.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Resolves to the path of a Chromium: the one `ATTUNE_TEST_CHROMIUM` names, else one on the PATH, else Debian's, brought into
 * `.cache/chromium` (see {@link bringDebianProgram}).
 * @throws if there is none. Never resolves to nothing: a test that needs a browser fails without one.
 */
export async function ensureChromium(): Promise<string> {
  const named = process.env['ATTUNE_TEST_CHROMIUM'];
  if (named !== undefined) {
    if (!isExecutable(named)) throw new Error(`ATTUNE_TEST_CHROMIUM names ${named}, which is no program`);
    return named;
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const installed = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
  if (installed !== undefined) return installed;
  return bringDebianProgram(
    { package: 'chromium', executable: 'usr/lib/chromium/chromium', proof: ['--version'] },
    join(import.meta.dirname, '../.cache/chromium'),
  ).catch((error: unknown) => {
    throw new Error('no Chromium here: install one, or name one in ATTUNE_TEST_CHROMIUM', { cause: error });
  });
}
