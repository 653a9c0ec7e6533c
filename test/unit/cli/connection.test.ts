import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveConnection } from '../../../src/cli/connection.ts';
import { contextPath } from '../../../src/cli/context-file.ts';
import { UsageError } from '../../../src/cli/exit-code.ts';

describe('the server to ask, and as whom', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'attune-context-'));
    mkdirSync(join(folder, 'attune'));
    writeFileSync(join(folder, 'token'), 'from-file\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const resolve = (given: { readonly flag?: string; readonly env?: Readonly<Record<string, string>>; readonly context?: string }) => {
    if (given.context !== undefined) writeFileSync(join(folder, 'attune', 'context.toml'), given.context.replaceAll('$DIR', folder));
    const env = Object.fromEntries(Object.entries(given.env ?? {}).map(([name, value]) => [name, value.replaceAll('$DIR', folder)]));
    return resolveConnection(given.flag, { XDG_CONFIG_HOME: folder, ...env });
  };

  const context = "url = 'http://c:1'\ntoken = 'ours'";
  it.each([
    ['nothing given: loopback', {}, 'http://127.0.0.1:8080', undefined],
    ['the context', { context }, 'http://c:1', 'ours'],
    ['the environment before the context', { env: { ATTUNE_URL: 'http://e:1' }, context }, 'http://e:1', undefined],
    ['the flag before the environment', { flag: 'http://f:1', env: { ATTUNE_URL: 'http://e:1' }, context }, 'http://f:1', undefined],
    ['an empty variable is none', { env: { ATTUNE_URL: '', ATTUNE_TOKEN: '' }, context }, 'http://c:1', 'ours'],
    ["the context's token for the same server, however it was named", { flag: 'http://c:1/', context }, 'http://c:1/', 'ours'],
    ['a token of the environment for any server', { flag: 'http://f:1', env: { ATTUNE_TOKEN: 't' }, context }, 'http://f:1', 't'],
    ['a token file of the environment', { env: { ATTUNE_TOKEN_FILE: '$DIR/token' } }, 'http://127.0.0.1:8080', 'from-file'],
    ['a token file of the context', { context: "url = 'http://c:1'\ntoken-file = '$DIR/token'" }, 'http://c:1', 'from-file'],
  ])('%s', async (_rule, given, url, token) => {
    expect(await resolve(given)).toEqual({ url, token });
  });

  it("never sends the context's token to another server", async () => {
    expect((await resolve({ flag: 'http://c:2', context })).token).toBeUndefined();
    expect((await resolve({ flag: 'https://c:1', context })).token).toBeUndefined();
    expect((await resolve({ context: "token = 'ours'" })).token).toBeUndefined();
  });

  it.each([
    ['two tokens', { env: { ATTUNE_TOKEN: 'a', ATTUNE_TOKEN_FILE: '$DIR/token' } }, /ATTUNE_TOKEN and ATTUNE_TOKEN_FILE are both set/],
    ['a token file that is not there', { env: { ATTUNE_TOKEN_FILE: '$DIR/none' } }, /cannot read the file that ATTUNE_TOKEN_FILE names/],
    ['a context that is no TOML', { context: 'url = ' }, /context.toml: /],
    ['a context with an unknown member', { context: "urls = 'x'" }, /'urls' is not known; it may hold url, token, token-file/],
    ['a context with another type', { context: 'url = 1' }, /'url' must be a string/],
  ])('refuses %s', async (_what, given, message) => {
    const failure: unknown = await resolve(given).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UsageError);
    expect(String(failure)).toMatch(message);
  });

  it('looks where the XDG specification says', () => {
    expect(contextPath({ XDG_CONFIG_HOME: '/x', HOME: '/h' })).toBe('/x/attune/context.toml');
    expect(contextPath({ XDG_CONFIG_HOME: 'relative', HOME: '/h' })).toBe('/h/.config/attune/context.toml');
    expect(contextPath({ HOME: '/h' })).toBe('/h/.config/attune/context.toml');
  });
});
