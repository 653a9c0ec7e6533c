import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLoopback, printSettings, resolveSettings, SETTINGS, SettingsError, type SettingInputs } from '../../../src/server/settings.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-settings-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (text: string): string => {
  const path = join(folder, 'attune.toml');
  writeFileSync(path, text);
  return path;
};

const resolve = (inputs: Partial<SettingInputs> = {}) => resolveSettings({ flags: {}, env: {}, ...inputs });

function problemsOf(inputs: Partial<SettingInputs>): readonly string[] {
  try {
    resolve(inputs);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  throw new Error('nothing was wrong');
}

describe('where a setting comes from', () => {
  it('is the flag, then the environment, then the file, then the default', () => {
    const settings = file('port = 3\n');
    expect(resolve({ flags: { port: '1' }, env: { ATTUNE_PORT: '2' }, file: settings }).port).toBe(1);
    expect(resolve({ env: { ATTUNE_PORT: '2' }, file: settings }).port).toBe(2);
    expect(resolve({ file: settings }).port).toBe(3);
    expect(resolve().port).toBe(8080);
  });

  it('is told for each setting, in the order of the table', () => {
    const settings = resolve({ flags: { host: 'localhost' }, env: { ATTUNE_PORT: '2' }, file: file('window = 100\n') });
    expect([...settings.sources.keys()]).toEqual(SETTINGS.map(({ name }) => name));
    expect(['host', 'port', 'window', 'log-level'].map((name) => settings.sources.get(name as 'host')?.source)).toEqual([
      'flag',
      'environment',
      'settings file',
      'default',
    ]);
    const lines = printSettings(settings).split('\n');
    expect(lines).toHaveLength(SETTINGS.length);
    expect(lines.find((line) => line.startsWith('window'))).toMatch(/^window +100 +settings file$/);
  });

  it.each(SETTINGS.map((definition) => [definition.name, definition.type] as const))(
    '%s has a reader: another value makes a difference',
    (name, type) => {
      const other = { integer: '17', list: 'https://a.example', flag: 'true', choice: 'debug', text: 'localhost' }[type];
      const { sources: _, ...settings } = resolve({ flags: { [name]: name === 'allowed-hosts' ? 'a.example' : other } });
      const { sources: __, ...defaults } = resolve();
      expect(settings).not.toEqual(defaults);
    },
  );
});

describe('wrong settings', () => {
  it('are told all at once, each with its name and value', () => {
    const problems = problemsOf({ flags: { port: '70000', window: 'x', 'log-level': 'loud' }, env: { ATTUNE_INSECURE_NO_AUTH: 'maybe' } });
    expect(problems).toHaveLength(4);
    expect(problems.join('\n')).toMatch(/--port: '70000'.*0 to 65535/);
    expect(problems.join('\n')).toMatch(/ATTUNE_INSECURE_NO_AUTH: 'maybe'/);
  });

  it.each(['-1', '65536', '1.5', '', ' 80', '0x50', 'abc', '1e3'])('port %j is refused', (port) => {
    expect(problemsOf({ flags: { port } })).toHaveLength(1);
  });

  it('a file with an unknown setting, or one that does not parse, is refused with its path', () => {
    expect(problemsOf({ file: file('prot = 1\n') })[0]).toMatch(/attune\.toml: unknown setting 'prot'; known are provider/);
    expect(problemsOf({ file: file('port = \n') })[0]).toContain('cannot read the settings file');
    expect(problemsOf({ file: join(folder, 'absent.toml') })[0]).toContain('absent.toml');
  });

  it.each([
    '*',
    'console.example',
    'https://console.example/',
    'https://console.example/path',
    'https://*.example',
    'ftp://console.example',
    'null',
  ])('%j is no origin', (origin) => {
    expect(problemsOf({ flags: { 'cors-origins': origin } })[0]).toContain('is not an origin');
  });

  it.each(['*', '*.example', 'http://a.example', 'a.example:80', 'a.example/x', 'a b'])('%j is no host name', (name) => {
    expect(problemsOf({ flags: { 'allowed-hosts': name } })[0]).toContain('is not a host name');
  });
});

describe('an address other than loopback', () => {
  it.each(['0.0.0.0', '::', '192.168.1.1', 'config.example', '', '127.0.0.1.evil.test', '128.0.0.1'])(
    '%j is refused, unless it is wanted so',
    (host) => {
      expect(problemsOf({ flags: { host } })[0]).toContain('--insecure-no-auth');
      expect(resolve({ flags: { host, 'insecure-no-auth': true } })).toMatchObject({ host, isInsecure: true });
    },
  );

  it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('%j is loopback', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(resolve({ flags: { host } }).isInsecure).toBe(false);
  });

  it.each(['127.0.0.999', '127.256.0.1', '1270.0.0.1'])('%j is no address at all', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});

it('lists are taken from a file as arrays and from elsewhere with commas', () => {
  expect(resolve({ flags: { 'allowed-hosts': 'A.example, b.example ,' } }).allowedHosts).toEqual(['a.example', 'b.example']);
  expect(resolve({ file: file('cors-origins = ["https://a.example", "https://b.example"]\n') }).corsOrigins).toEqual([
    'https://a.example',
    'https://b.example',
  ]);
});

describe('secrets', () => {
  const secret = 'tOpSecret';

  it('come from a file that the environment names, unless the environment holds them', () => {
    const path = join(folder, 'password');
    writeFileSync(path, `${secret}\n`);
    const fromFile = resolve({ env: { ATTUNE_STORE_PASSWORD_FILE: path } });
    expect([fromFile.store.password, fromFile.sources.get('store-password')?.source]).toEqual([secret, 'environment file']);
    expect(resolve({ env: { ATTUNE_STORE_PASSWORD_FILE: path, ATTUNE_STORE_PASSWORD: 'other' } }).store.password).toBe('other');
    expect(problemsOf({ env: { ATTUNE_STORE_TOKEN_FILE: join(folder, 'absent') } })[0]).toMatch(
      /ATTUNE_STORE_TOKEN_FILE: cannot read .*absent/,
    );
  });

  it('that are empty count as not given', () => {
    expect(resolve({ env: { ATTUNE_STORE_PASSWORD: '', ATTUNE_STORE_CA_FILE: '' } }).store).toEqual(resolve().store);
  });

  it.each([
    { 'store-password': secret },
    { 'store-token': secret },
    { provider: `etcd://me:${secret}@h:2379/app/config` },
    { provider: `etcd://me:x/${secret}@h:2379/app/config` },
    { provider: `redis://h?token=${secret}` },
  ])('are not printed: %j', (flags) => {
    const printed = printSettings(resolve({ flags }));
    expect(printed).not.toContain(secret);
    expect(printed).toMatch(/\*\*\*|…/);
  });

  it('do not hide the rest of a provider URL', () => {
    expect(printSettings(resolve({ flags: { provider: 'etcd://h:2379/app/config' } }))).toContain('etcd://h:2379/app/config  ');
    expect(printSettings(resolve({ flags: { provider: `etcd://me:${secret}@h:2379/app` } }))).toContain('etcd://…@h:2379/app  ');
  });
});
