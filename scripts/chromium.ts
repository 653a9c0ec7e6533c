import { ensureProgram } from './ensure-program.ts';

/** Resolves to the path of a Chromium for the tests; see {@link ensureProgram}. */
export async function ensureChromium(): Promise<string> {
  return ensureProgram({
    title: 'Chromium',
    variable: 'ATTUNE_TEST_CHROMIUM',
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    debian: { package: 'chromium', executable: 'usr/lib/chromium/chromium', proof: ['--version'] },
  });
}
