import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cli, startServe } from './cli-process.ts';

let cli: Cli;
beforeAll(() => {
  cli = Cli.build();
});
afterAll(() => cli[Symbol.dispose]());

const serve = (words: readonly string[]) => startServe(cli, words);

describe('attune serve', () => {
  it('says where it is and what to try, and ends with 0 on SIGTERM', async () => {
    const { running, url } = await serve(['--provider', 'memory:']);
    expect(running.stdout).toMatch(/^attune \d+\.\d+\.\d+ {2}\S.* {2}http:\/\/127\.0\.0\.1:\d+ {2}loopback only, no authentication\n/);
    expect(await cli.run(['set', 'a', '1', '--url', url])).toMatchObject({ code: 0, stderr: '' });
    running.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('keeps what was written over a restart, in the folder it was given', async () => {
    const first = await serve(['--data-dir', 'kept']);
    expect(await cli.run(['set', 'app/a', '20', '--url', first.url])).toMatchObject({ code: 0, stderr: '' });
    first.running.kill('SIGTERM');
    expect((await first.running.ended).code).toBe(0);
    const second = await serve(['--data-dir', 'kept']);
    expect(await cli.run(['get', 'app/a', '--url', second.url])).toEqual({ code: 0, stdout: '20\n', stderr: '' });
    const third = await cli.run(['serve', '--port', '0', '--data-dir', 'kept']);
    expect(third.code).not.toBe(0);
    expect(third.stderr).toMatch(/^attune: .*kept.* is in use by pid \d+; stop it, or choose another --data-dir\n$/);
    second.running.kill('SIGTERM');
    await second.running.ended;
  });

  it('says which port is in use', async () => {
    const { running, url } = await serve(['--provider', 'memory:']);
    const { port } = new URL(url);
    expect(await cli.run(['serve', '--provider', 'memory:', '--port', port, '--log-level', 'error'])).toMatchObject({
      code: 1,
      stderr: `attune: port ${port} is in use; choose another with --port, or --port 0 for any free one\n`,
    });
    running.kill('SIGTERM');
    await running.ended;
  });

  it('takes every setting as a flag, and tells each with its source', async () => {
    writeFileSync(join(cli.folder, 'attune.toml'), 'window = 4096\n');
    const flags = ['--port', '1234', '--allowed-hosts', 'a.example,b.example', '--insecure-no-auth', '--config', 'attune.toml'];
    const { code, stdout, stderr } = await cli.run(['serve', ...flags, '--print-settings'], { env: { ATTUNE_LOG_LEVEL: 'debug' } });
    expect([code, stderr]).toEqual([0, '']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(rows).toContainEqual(['port', '1234', 'flag']);
    expect(rows).toContainEqual(['allowed-hosts', 'a.example,b.example', 'flag']);
    expect(rows).toContainEqual(['insecure-no-auth', 'true', 'flag']);
    expect(rows).toContainEqual(['log-level', 'debug', 'environment']);
    expect(rows).toContainEqual(['window', '4096', 'settings file']);
    expect(rows).toContainEqual(['host', '127.0.0.1', 'default']);
  });

  it('tells all wrong settings at once, with exit code 2', async () => {
    const { code, stdout, stderr } = await cli.run(['serve', '--port', 'x', '--log-level', 'loud', '--host', '0.0.0.0']);
    expect([code, stdout]).toEqual([2, '']);
    expect(
      stderr
        .split('\n')
        .slice(0, -1)
        .map((line) => /^attune: (\S+)/.exec(line)?.[1]),
    ).toEqual(['--port:', '--log-level:', '--host']);
    expect(await cli.run(['serve', '--prot', '1'])).toMatchObject({
      code: 2,
      stderr: "attune: unknown option '--prot'; did you mean '--port'?\n",
    });
  });

  it.each([
    [
      'http://h:2379',
      "attune: provider 'http://h:2379' is of no known kind; known are ",
      '; did you mean etcd://127.0.0.1:2379/app/config?\n',
    ],
    ['etcd://root:tOpSecret@h:x/app', "attune: provider 'etcd://…@h:x/app': ", '\n'],
    [
      'etcd://h/',
      "attune: provider 'etcd://h/': this names the whole store",
      'write etcd://h:2379/app/config, or etcd://h:2379 for app/config\n',
    ],
    ['consul://root:tOpSecret@h', 'attune: Consul has no users and passwords', '\n'],
  ])('refuses the provider %s with exit code 2, before anything is opened', async (provider, begin, end) => {
    const { code, stdout, stderr } = await cli.run(['serve', '--port', '0', '--provider', provider]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.startsWith(begin)).toBe(true);
    expect(stderr.endsWith(end)).toBe(true);
    expect(stderr).not.toContain('tOpSecret');
  });

  it('prints no secret with the settings', async () => {
    const flags = ['--provider', 'etcd://root:tOpSecret@h/app', '--store-token', 'tOpSecret', '--print-settings'];
    const { code, stdout, stderr } = await cli.run(['serve', ...flags], { env: { ATTUNE_STORE_PASSWORD: 'tOpSecret' } });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).not.toContain('tOpSecret');
    expect(stdout).toMatch(/^provider +etcd:\/\/…@h\/app +flag$/m);
    expect(stdout).toMatch(/^store-password +\*\*\* +environment$/m);
  });
});
