import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromEnv } from '../../../../src/client/node/from-env.ts';
import { temporaryFolder } from './temporary-folder.ts';

const URL_ONLY = { ATTUNE_URL: 'http://127.0.0.1:8080' };

const tokenFunctionOf = (path: string): (() => Promise<string>) => {
  const { token } = fromEnv({ ...URL_ONLY, ATTUNE_TOKEN_FILE: path });
  if (typeof token !== 'function') throw new Error('not a function');
  return token;
};

describe('fromEnv', () => {
  it('reads one server, or several, and leaves out what is not set', () => {
    expect(fromEnv(URL_ONLY)).toEqual({ url: ['http://127.0.0.1:8080'] });
    expect(fromEnv({ ATTUNE_URL: ' http://a:1 ,https://b/attune/', ATTUNE_TOKEN: '', ATTUNE_SNAPSHOT_FILE: '' })).toEqual({
      url: ['http://a:1', 'https://b/attune'],
    });
  });

  it('reads the token and the files', () => {
    const env = { ...URL_ONLY, ATTUNE_TOKEN: 'secret', ATTUNE_SNAPSHOT_FILE: '/var/a.json', ATTUNE_OVERRIDES_FILE: 'b.json' };
    expect(fromEnv(env)).toEqual({
      url: ['http://127.0.0.1:8080'],
      token: 'secret',
      snapshotFile: '/var/a.json',
      overridesFile: join(process.cwd(), 'b.json'),
    });
  });

  it('reads the environment of the process', () => {
    const before = process.env['ATTUNE_URL'];
    process.env['ATTUNE_URL'] = 'http://from.process:1';
    try {
      expect(fromEnv().url).toEqual(['http://from.process:1']);
    } finally {
      if (before === undefined) delete process.env['ATTUNE_URL'];
      else process.env['ATTUNE_URL'] = before;
    }
  });

  it.each([
    [{}, 'ATTUNE_URL is not set; set it to the server, such as http://127.0.0.1:8080'],
    [{ ATTUNE_URL: '' }, 'ATTUNE_URL is not set; set it to the server, such as http://127.0.0.1:8080'],
    [{ ATTUNE_URL: 'http://a,' }, 'ATTUNE_URL has a comma with no URL beside it; write it as http://a:8080,http://b:8080'],
    [{ ATTUNE_URL: 'a:8080' }, "ATTUNE_URL: url 'a:8080' is not http or https; write it as http://host:8080"],
    [{ ATTUNE_URL: 'nonsense' }, "ATTUNE_URL: url 'nonsense' is not a URL; write it as http://host:8080"],
    [{ ATTUNE_URL: 'http://a:1?x' }, "ATTUNE_URL: url 'http://a:1?x' has a query or fragment; leave it out"],
    [{ ATTUNE_URL: 'http://me:hunter2@host' }, 'ATTUNE_URL holds a user name or password; give credentials as ATTUNE_TOKEN instead'],
    [{ ATTUNE_URL: 'me:hunter2@host' }, 'ATTUNE_URL holds a user name or password; give credentials as ATTUNE_TOKEN instead'],
    [{ ...URL_ONLY, ATTUNE_TOKEN: 'hunter2\n' }, 'ATTUNE_TOKEN has a character no token has (a space or line feed at its end?)'],
    [
      { ...URL_ONLY, ATTUNE_TOKEN: 'hunter2', ATTUNE_TOKEN_FILE: '/x' },
      'ATTUNE_TOKEN and ATTUNE_TOKEN_FILE are both set; unset one of them',
    ],
    [{ ...URL_ONLY, ATTUNE_TOKEN_FILE: '/no/such' }, 'ATTUNE_TOKEN_FILE names /no/such, where there is no file'],
    [{ ...URL_ONLY, ATTUNE_TOKEN_FILE: '/' }, 'ATTUNE_TOKEN_FILE names /, where there is no ordinary file'],
    [{ ...URL_ONLY, ATTUNE_SNAPSHOT_FILE: 'a\0' }, "ATTUNE_SNAPSHOT_FILE is 'a\\u0000'; give the path of a file"],
  ])('refuses %j', (env, message) => {
    expect(() => fromEnv(env)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message }));
    expect(message).not.toContain('hunter2');
  });
});

describe('the token of ATTUNE_TOKEN_FILE', () => {
  it('is read anew for each request, without the space around it', async () => {
    const path = join(temporaryFolder(), 'token');
    writeFileSync(path, ' first\n');
    const token = tokenFunctionOf(path);
    expect(await token()).toBe('first');
    writeFileSync(path, 'other');
    expect(await token()).toBe('other');
  });

  it('is the last one while the file is being replaced', async () => {
    const path = join(temporaryFolder(), 'token');
    writeFileSync(path, 'first');
    const token = tokenFunctionOf(path);
    await token();
    writeFileSync(path, '');
    expect(await token()).toBe('first');
    rmSync(path);
    expect(await token()).toBe('first');
    writeFileSync(path, 'second');
    expect(await token()).toBe('second');
    rmSync(path);
    mkdirSync(path);
    await expect(token()).rejects.toThrow(/it is not an ordinary file/);
  });

  it('is missed with a message that names the variable and the file, and shows nothing of what is in it', async () => {
    const path = join(temporaryFolder(), 'token');
    writeFileSync(path, '\n');
    const token = tokenFunctionOf(path);
    await expect(token()).rejects.toThrow(`ATTUNE_TOKEN_FILE names ${path}, which gives no token: it is empty`);
    writeFileSync(path, `hunter2${'x'.repeat(100_000)}`);
    await expect(token()).rejects.toThrow(
      `ATTUNE_TOKEN_FILE names ${path}, which gives no token: it has 100007 bytes, at most 65536 are read`,
    );
    rmSync(path);
    await expect(token()).rejects.toThrow(/which gives no token: ENOENT/);
    mkdirSync(path);
    await expect(token()).rejects.toThrow(/it is not an ordinary file/);
  });
});
