import { chromium, type Browser } from 'playwright-core';

import { ensureChromium } from '../../scripts/chromium.ts';

export interface ChromiumOptions {
  /** Host names and the addresses the browser takes them to have, as a rebound DNS would say: `{ 'evil.test': '127.0.0.1' }`. */
  readonly hosts?: Readonly<Record<string, string>>;
}

/**
 * A real, headless Chromium with a profile of its own that is gone when the browser is closed or disposed. It reaches loopback and
 * the `hosts` given, nothing else. The first call on a machine without Chromium downloads it: start the browser in `beforeAll`.
 * @throws if there is no Chromium to be had.
 */
export async function launchChromium({ hosts = {} }: ChromiumOptions = {}): Promise<Browser> {
  const resolved = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const rules = [...resolved, 'MAP * ~NOTFOUND', 'EXCLUDE localhost', 'EXCLUDE 127.0.0.1', 'EXCLUDE [::1]'];
  return chromium.launch({
    executablePath: await ensureChromium(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--no-proxy-server',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--host-resolver-rules=${rules.join(', ')}`,
    ],
  });
}
