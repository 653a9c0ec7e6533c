import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Cli, startServe, type CliOptions, type CliResult, type RunningCli } from './cli-process.ts';

let cli: Cli;
let server: RunningCli | undefined;
let url: string;
beforeAll(async () => {
  cli = Cli.build();
  ({ running: server, url } = await startServe(cli, ['--data-dir', 'data']));
});
afterAll(async () => {
  server?.kill('SIGTERM');
  await server?.ended;
  cli[Symbol.dispose]();
});

const attune = (words: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  cli.run(words, { ...options, env: { ATTUNE_URL: url } });
const file = (name: string, content: string): string => {
  writeFileSync(join(cli.folder, name), content);
  return name;
};
const inFolder = (name: string): string => readFileSync(join(cli.folder, name), 'utf8');
const keysUnder = async (prefix: string): Promise<readonly string[]> =>
  (await attune(['list', prefix, '--keys-only'])).stdout.split('\n').slice(0, -1);

/** Below a name of its own, so that tests do not see each other. */
let prefix: string;
let count = 0;
beforeEach(() => {
  prefix = `t${count++}/`;
});

describe('this project itself, imported while somebody watches', () => {
  const lockFile = resolve('package-lock.json');
  const composeFile = resolve('docker-compose.yml');
  const tsconfigFile = resolve('tsconfig.json');

  it('comes out of the server as it went in, and the watcher saw every key once', async () => {
    const watcher = cli.start(['watch', prefix, '-o', 'json'], { env: { ATTUNE_URL: url } });
    await watcher.until(({ stderr }) => stderr.includes('watching'));
    const imported = [
      await attune(['import', lockFile, '--prefix', `${prefix}lock/`]),
      await attune(['import', composeFile, '--prefix', `${prefix}compose/`]),
      await attune(['import', tsconfigFile, '--prefix', `${prefix}tsconfig/`]),
      await attune(['import', tsconfigFile, '--prefix', `${prefix}files/`, '--as-document']),
      await attune(['import', composeFile, '--as-document', `${prefix}files/compose`]),
    ];
    expect(imported.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    const counts = imported.map(({ stderr }) => Number(/^(\d+) created\n$/.exec(stderr)?.[1]));
    expect(counts[0]).toBeGreaterThan(2_000);
    expect(counts.slice(3)).toEqual([1, 1]);

    // The end, by a marker that comes after everything else, not by waiting.
    await attune(['set', `${prefix}zz-marker`, 'true']);
    await watcher.until(({ stdout }) => stdout.includes(`${prefix}zz-marker`));
    watcher.kill('SIGTERM');
    expect((await watcher.ended).code).toBe(143);
    const changes = watcher.lines().map((line) => JSON.parse(line) as { type: string; key: string; version: number });
    expect(changes.length).toBe(counts.reduce((sum, one) => sum + one, 0) + 1);
    expect(new Set(changes.map(({ key }) => key)).size).toBe(changes.length);
    expect(new Set(changes.map(({ type }) => type))).toEqual(new Set(['created']));
    expect(changes.map(({ version }) => version)).toEqual(changes.map(({ version }) => version).toSorted((a, b) => a - b));
    expect(changes.map(({ key }) => key).toSorted()).toEqual([...(await keysUnder(prefix))].toSorted());

    const lock: unknown = JSON.parse(readFileSync(lockFile, 'utf8'));
    for (const format of ['json', 'yaml'] as const) {
      expect((await attune(['export', `${prefix}lock/`, '-o', `lock.${format}`])).code).toBe(0);
      const text = inFolder(`lock.${format}`);
      expect(format === 'json' ? JSON.parse(text) : parseYaml(text)).toEqual(lock);
    }
    expect(JSON.parse((await attune(['export', `${prefix}compose/`])).stdout)).toEqual(parseYaml(readFileSync(composeFile, 'utf8')));
    expect(parseYaml((await attune(['export', `${prefix}compose/`, '--format', 'yaml'])).stdout)).toEqual(
      parseYaml(readFileSync(composeFile, 'utf8')),
    );
    expect(JSON.parse((await attune(['export', `${prefix}tsconfig/`])).stdout)).toEqual(JSON.parse(readFileSync(tsconfigFile, 'utf8')));
    expect((await attune(['get', `${prefix}files/tsconfig.json`])).stdout).toBe(readFileSync(tsconfigFile, 'utf8'));
    expect((await attune(['get', `${prefix}files/compose`, '-o', 'raw'])).stdout).toBe(readFileSync(composeFile, 'utf8'));

    // Everything once more is no change at all, from the file and from its exports in every format that can hold it.
    expect((await attune(['export', `${prefix}lock/`, '--format', 'toml', '-o', 'lock.toml'])).code).toBe(0);
    expect((await attune(['export', `${prefix}lock/`, '--format', 'properties', '--flat', '-o', 'lock.properties'])).code).toBe(0);
    const again = { [lockFile]: [], 'lock.json': [], 'lock.yaml': [], 'lock.toml': [], 'lock.properties': ['--flat'] };
    for (const [name, flags] of Object.entries(again)) {
      const { code, stdout, stderr } = await attune([
        'import',
        name,
        '--prefix',
        `${prefix}lock/`,
        ...flags,
        '--prune',
        '--dry-run',
        '--exit-code',
      ]);
      expect({ name, code, stdout, stderr }).toEqual({
        name,
        code: 0,
        stdout: '',
        stderr: `${counts[0]} unchanged; nothing was written\n`,
      });
    }
    expect((await attune(['import', tsconfigFile, '--prefix', `${prefix}files/`, '--as-document'])).stderr).toBe('1 unchanged\n');
  });
});

describe('attune import', () => {
  it('shows what would change and changes nothing, then changes just that', async () => {
    await attune(['set', `${prefix}db/host`, 'old']);
    await attune(['set', `${prefix}db/port`, '5432']);
    await attune(['set', `${prefix}gone`, '1']);
    const name = file('app.yaml', 'db:\n  host: new\n  port: 5432\n  none: {}\nlist: [1, 2]\n');
    const words = ['import', name, '--prefix', prefix, '--prune'];
    const diff = [`~ ${prefix}db/host = old -> new`, `+ ${prefix}db/none = {}`, `- ${prefix}gone = 1`, `+ ${prefix}list = [1,2]`];
    const dry = await attune([...words, '--dry-run', '--exit-code']);
    expect(dry).toEqual({
      code: 8,
      stdout: `${diff.join('\n')}\n`,
      stderr: '2 created, 1 updated, 1 deleted, 1 unchanged; nothing was written\n',
    });
    expect(await keysUnder(prefix)).toEqual([`${prefix}db/host`, `${prefix}db/port`, `${prefix}gone`]);
    const json = await attune([...words, '--dry-run', '-o', 'json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      changes: [{ type: 'updated', oldValue: 'old', newValue: 'new' }, {}, { type: 'deleted' }, {}],
      unchanged: 1,
    });

    const asked = await attune(words);
    expect([asked.code, asked.stderr]).toEqual([
      2,
      'attune: import --prune asks before it deletes, and nobody is there to ask: give --yes, or see --dry-run\n',
    ]);
    expect(await attune([...words, '--yes'])).toEqual({ code: 0, stdout: '', stderr: '2 created, 1 updated, 1 deleted, 1 unchanged\n' });
    expect(await attune([...words, '--dry-run', '--exit-code'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '4 unchanged; nothing was written\n',
    });
  });

  it('without --prune leaves other keys alone', async () => {
    await attune(['set', `${prefix}other`, '1']);
    expect((await attune(['import', file('a.json', '{"a":1}'), '--prefix', prefix])).stderr).toBe('1 created\n');
    expect(await keysUnder(prefix)).toEqual([`${prefix}a`, `${prefix}other`]);
  });

  it('reads stdin, .properties and .env, and writes the same again', async () => {
    const properties = 'db.host=x y\ndb.pool.size=20\nempty=\nquoted="q"\nversion=1.10\n';
    expect((await attune(['import', '-', '--format', 'properties', '--prefix', prefix], { input: properties })).code).toBe(0);
    expect((await attune(['get', `${prefix}db/pool/size`])).stdout).toBe('20\n');
    expect((await attune(['export', prefix, '--format', 'properties'])).stdout).toBe(properties);
    const env = "DB__HOST='x y'\nDB__PORT=5432\nMODE=a\n";
    expect((await attune(['import', file('.env', env), '--prefix', `${prefix}env/`])).code).toBe(0);
    expect(await keysUnder(`${prefix}env/`)).toEqual([`${prefix}env/DB/HOST`, `${prefix}env/DB/PORT`, `${prefix}env/MODE`]);
    expect((await attune(['export', `${prefix}env/`, '--format', 'env'])).stdout).toBe(env);
  });

  it('brings hard names and numbers back', async () => {
    const text = '{"":{"..":9007199254740993},"a/b":{"__proto__":1.10,"x.attune":[],"\\u0000":{}},"~":"~0","0":null}';
    expect((await attune(['import', file('hard.json', text), '--prefix', prefix])).stderr).toBe('6 created\n');
    const { stdout } = await attune(['export', prefix]);
    expect(stdout).toContain('9007199254740993');
    expect(stdout).toContain('1.10');
    expect((await attune(['import', '-', '--format', 'json', '--prefix', prefix, '--prune', '--dry-run'], { input: text })).stderr).toBe(
      '6 unchanged; nothing was written\n',
    );
    expect(JSON.stringify(sorted(JSON.parse(stdout)))).toBe(JSON.stringify(sorted(JSON.parse(text))));
  });

  it('writes nothing at all if one key or value cannot be stored', async () => {
    const long = await attune(['import', file('long.json', `{"ok":1,"${'x'.repeat(512)}":2}`), '--prefix', prefix]);
    expect(long.code).toBe(7);
    expect(long.stderr).toMatch(/^attune: INVALID_KEY: .*a key is at most 512 bytes of UTF-8, this one is \d+; nothing was written\n$/);
    const large = await attune(['import', file('large.json', JSON.stringify({ ok: 1, large: 'x'.repeat(600_000) })), '--prefix', prefix]);
    expect(large.code).toBe(7);
    expect(large.stderr).toMatch(
      /^attune: VALUE_TOO_LARGE: 't\d+\/large': the value has 600000 bytes, the server takes at most 524288; nothing was written\n$/,
    );
    const broken = await attune(['import', file('broken.yaml', 'a: 1\nb: [\n'), '--prefix', prefix]);
    expect(broken.code).toBe(7);
    expect(broken.stderr).toMatch(/^attune: INVALID_BODY: broken\.yaml:\d+:\d+: /);
    expect(await keysUnder(prefix)).toEqual([]);
  });

  it('says what became something else', async () => {
    expect((await attune(['import', file('date.toml', 'day = 1979-05-27\n'), '--prefix', prefix])).stderr).toBe(
      'note: date.toml: the date or time 1979-05-27 becomes text, which JSON has instead\n1 created\n',
    );
  });

  it('stops at Ctrl-C, in order, saying how far it got; the same command does the rest', async () => {
    const many = file('many.json', JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, index]))));
    const watcher = cli.start(['watch', prefix, '-n', '500'], { env: { ATTUNE_URL: url } });
    await watcher.until(({ stderr }) => stderr.includes('watching'));
    const running = cli.start(['import', many, '--prefix', prefix], { env: { ATTUNE_URL: url } });
    expect((await watcher.ended).code).toBe(0);
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    const done = Number(/^attune: stopped after (\d+) of 20000 changes; run the same command again for the rest\n$/.exec(stderr)?.[1]);
    expect(done).toBeGreaterThanOrEqual(500);
    expect(done).toBeLessThan(20_000);
    expect((await keysUnder(prefix)).length).toBe(done);
    expect((await attune(['import', many, '--prefix', prefix, '--dry-run'])).stderr).toBe(
      `${20_000 - done} created, ${done} unchanged; nothing was written\n`,
    );
  });

  it('draws a bar on a terminal, and none elsewhere', async () => {
    const some = file('some.json', JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`k${index}`, index]))));
    const shown = await cli.terminal(`attune import ${some} --prefix ${prefix}`, { env: { ATTUNE_URL: url } }).ended;
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('300/300');
    expect(shown.stdout).toContain('300 created');
    expect((await attune(['import', some, '--prefix', `${prefix}again/`])).stderr).toBe('300 created\n');
  });

  it('asks on a terminal before it deletes', async () => {
    await attune(['set', `${prefix}gone`, '1']);
    const line = `attune import ${file('one.json', '{"a":1}')} --prefix ${prefix} --prune`;
    const refused = cli.terminal(line, { env: { ATTUNE_URL: url } });
    await refused.until(
      ({ stdout }) => stdout.includes(`- ${prefix}gone = 1`) && stdout.includes('Delete this key, and make the other changes?'),
    );
    refused.child.stdin?.write('n');
    expect(await refused.ended).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing was written') as string });
    expect(await keysUnder(prefix)).toEqual([`${prefix}gone`]);
    const agreed = cli.terminal(line, { env: { ATTUNE_URL: url } });
    await agreed.until(({ stdout }) => stdout.includes('make the other changes?'));
    agreed.child.stdin?.write('y');
    expect((await agreed.ended).code).toBe(0);
    expect(await keysUnder(prefix)).toEqual([`${prefix}a`]);
  });
});

describe('attune export', () => {
  it('replaces a file only when it is complete, and says so', async () => {
    await attune(['set', `${prefix}a`, '1']);
    const old = file('out.json', 'old');
    expect((await attune(['export', `${prefix}none/`, '--format', 'toml', '-o', 'empty.toml'])).stderr).toBe(
      '0 keys written to empty.toml\n',
    );
    await attune(['set', `${prefix}b/~`, 'null', '--json']);
    expect((await attune(['export', prefix, '--format', 'toml', '-o', old])).code).toBe(7);
    expect(inFolder(old)).toBe('old');
    expect(await attune(['export', prefix, '-o', old])).toEqual({ code: 0, stdout: '', stderr: '2 keys written to out.json\n' });
    expect(JSON.parse(inFolder(old))).toEqual({ a: 1, b: { '': null } });
    expect((await attune(['export', prefix, '-o', 'no/such/folder.json'])).code).toBe(1);
  });

  it('of a value that is also a folder names both ways out', async () => {
    await attune(['set', `${prefix}a`, '1']);
    await attune(['set', `${prefix}a/b`, '2']);
    const nested = await attune(['export', prefix]);
    expect([nested.code, nested.stdout]).toEqual([7, '']);
    expect(nested.stderr).toContain('--flat writes one member a key');
    expect(JSON.parse((await attune(['export', prefix, '--flat'])).stdout)).toEqual({ a: 1, 'a/b': 2 });
    expect((await attune(['export', prefix, '--format', 'properties'])).stdout).toBe('a=1\na.b=2\n');
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, sorted(member)]);
}
