import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';
import { Cli, type CliOptions, type CliResult } from './cli-process.ts';

let cli: Cli;
let service: HttpService;
beforeAll(async () => {
  cli = Cli.build();
  service = await HttpService.start();
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  cli[Symbol.dispose]();
});
beforeEach(async () => {
  for (const { key } of (await service.get('/api/v1/configs?keysOnly&limit=10000')).json().items as { key: string }[]) {
    await service.delete(key.split('/').map(encodeURIComponent).join('/'));
  }
});

const attune = (words: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  cli.run(words, { ...options, env: { ATTUNE_URL: service.url, ...options.env } });
/** Where nobody listens. */
async function closedUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
const file = (name: string, content: string): string => {
  writeFileSync(join(cli.folder, name), content);
  return name;
};
const withoutVersion = (text: string): string => text.replaceAll(/version \d+/g, 'version N');

describe('attune set and get', () => {
  it.each<[string, readonly string[], string, string]>([
    ['a number', ['20'], 'k = 20 (number)', '20\n'],
    ['a negative number', ['-5'], 'k = -5 (number)', '-5\n'],
    ['a boolean', ['true'], 'k = true (boolean)', 'true\n'],
    ['an object, as it is spelled', ['{"a": 1.0}'], 'k = {"a":1.0} (object)', '{"a": 1.0}\n'],
    ['a text', ['hello'], 'k = hello (text)', 'hello\n'],
    ['a version, which is no number', ['1.10'], 'k = 1.10 (text)', '1.10\n'],
    ['a number no double holds', ['9007199254740993'], 'k = 9007199254740993 (text)', '9007199254740993\n'],
    ['the same as JSON', ['9007199254740993', '--json'], 'k = 9007199254740993 (number)', '9007199254740993\n'],
    ['a text that looks like a number', ['20', '--text'], 'k = "20" (text)', '20\n'],
    ['a JSON string', ['"hi"'], 'k = hi (string)', '"hi"\n'],
    ['a text that begins with @', ['@@handle'], 'k = @handle (text)', '@handle\n'],
    ['the empty text', [''], 'k = "" (text)', '\n'],
    ['with a comment and metadata', ['20', '--comment', 'sale', '--metadata', 'a=b=c', '--metadata', 'd='], 'k = 20 (number)', '20\n'],
    ['a text with a comment', ['hello', '--comment', 'sale'], 'k = hello (text)', 'hello\n'],
  ])('%s', async (_what, words, line, value) => {
    const set = await attune(['set', 'k', ...words]);
    expect({ ...set, stdout: withoutVersion(set.stdout) }).toEqual({ code: 0, stdout: `${line}  version N\n`, stderr: '' });
    expect(await attune(['get', 'k'])).toEqual({ code: 0, stdout: value, stderr: '' });
  });

  it('takes a value from stdin and from a file, to the last byte', async () => {
    expect((await attune(['set', 'k', '-'], { input: 'line one\nline two\n' })).code).toBe(0);
    expect((await attune(['get', 'k'])).stdout).toBe('line one\nline two\n');
    expect((await attune(['set', 'k', `@${file('value.txt', 'from a file')}`])).code).toBe(0);
    expect((await attune(['get', 'k'])).stdout).toBe('from a file\n');
    expect((await attune(['get', 'k', '-o', 'raw'])).stdout).toBe('from a file');
  });

  it('keeps the type an item has, and metadata beside a comment', async () => {
    await service.put('k', { value: 'a: 1', contentType: 'application/yaml', metadata: { team: 'x' } });
    expect(withoutVersion((await attune(['set', 'k', '20'])).stdout)).toBe('k = "20" (application/yaml)  version N\n');
    expect(withoutVersion((await attune(['set', 'k', '21', '--comment', 'c'])).stdout)).toBe('k = "21" (application/yaml)  version N\n');
    expect((await service.item('k')).metadata).toEqual({ team: 'x' });
    await service.put('n', { value: 1 });
    const refused = await attune(['set', 'n', 'hello']);
    expect(refused.code).toBe(7);
    expect(refused.stderr).toMatch(/^attune: INVALID_BODY: .*not JSON.*; --text makes it text\n$/);
    expect((await attune(['set', 'n', 'hello', '--text'])).code).toBe(0);
  });

  it('writes only under the condition given', async () => {
    expect((await attune(['set', 'k', '1', '--create'])).code).toBe(0);
    const { version } = await service.item('k');
    const twice = await attune(['set', 'k', '2', '--create']);
    expect(twice).toMatchObject({
      code: 3,
      stdout: '',
      stderr: `attune: CONFLICT: k is at version ${version}, you asked for no such key\n`,
    });
    const old = await attune(['set', 'k', '2', '--if-version', '999999']);
    expect(old).toMatchObject({ code: 3, stderr: `attune: CONFLICT: k is at version ${version}, you sent 999999\n` });
    expect((await attune(['set', 'k', '2', '--if-version', String(version)])).code).toBe(0);
    expect((await service.item('k')).value).toBe(2);
  });

  it('prints the item as JSON, YAML or a table, numbers as the server has them', async () => {
    await attune(['set', 'app/big', '9007199254740993', '--json', '--metadata', 'a=b']);
    const json = await attune(['get', 'app/big', '-o', 'json']);
    expect(json.stdout).toContain('"value": 9007199254740993,');
    expect(JSON.parse(json.stdout)).toMatchObject({ key: 'app/big', metadata: { a: 'b' }, contentType: 'application/json' });
    expect((await attune(['get', 'app/big', '-o', 'yaml'])).stdout).toMatch(/^key: app\/big\nvalue: 9007199254740993\n/);
    expect((await attune(['get', 'app/big', '-o', 'table'])).stdout).toMatch(/^FIELD +VALUE\nkey +app\/big\nvalue +9007199254740993\n/);
    expect((await attune(['set', 'app/big', '1', '-o', 'json'])).stdout).toContain('"value": 1,');
  });

  it('names the nearest keys of one that is not there', async () => {
    await service.set('app/pool-size', 1);
    expect(await attune(['get', 'app/pol-size'])).toEqual({
      code: 4,
      stdout: '',
      stderr: "attune: NOT_FOUND: there is no key app/pol-size; did you mean 'app/pool-size'?\n",
    });
    expect((await attune(['get', 'something/else'])).stderr).toBe('attune: NOT_FOUND: there is no key something/else\n');
    const json = await attune(['get', 'pool-size', '-o', 'json']);
    expect(json.code).toBe(4);
    expect(JSON.parse(json.stderr)).toMatchObject({
      code: 'NOT_FOUND',
      type: '/docs/errors#NOT_FOUND',
      status: 404,
      nearest: ['app/pool-size'],
    });
  });
});

describe('attune delete', () => {
  it('deletes keys, each told', async () => {
    await service.set('a', 1);
    await service.set('b', 1);
    expect(await attune(['delete', 'a', 'b'])).toEqual({ code: 0, stdout: 'a deleted\nb deleted\n', stderr: '' });
    expect((await attune(['delete', 'a'])).code).toBe(4);
    await service.set('a', 1);
    expect((await attune(['delete', 'a', '--if-version', '1'])).code).toBe(3);
  });

  it('deletes a prefix only if it is told to, and nothing beside it', async () => {
    for (const key of ['old/a', 'old/b/c', 'older/d', 'x']) await service.set(key, 1);
    const asked = await attune(['delete', '--prefix', 'old/']);
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect(asked.stderr).toContain('nobody is there to ask: give --yes');
    expect(await attune(['delete', '--prefix', 'old'])).toMatchObject({
      code: 2,
      stderr: "attune: prefix 'old' would also match 'old...'; write 'old/'\n",
    });
    expect((await attune(['list', '--keys-only'])).stdout).toBe('old/a\nold/b/c\nolder/d\nx\n');
    expect(await attune(['delete', '--prefix', 'old/', '--yes'])).toEqual({ code: 0, stdout: '', stderr: "2 keys under 'old/' deleted\n" });
    expect((await attune(['list', '--keys-only'])).stdout).toBe('older/d\nx\n');
    expect(await attune(['delete', '--prefix', 'old/', '--yes'])).toEqual({ code: 0, stdout: '', stderr: "no keys under 'old/'\n" });
  });

  it('asks on a terminal; no is the answer of Enter, n and Ctrl-C', async () => {
    await service.set('old/a', 1);
    for (const answer of ['\r', 'n', '\u0003']) {
      const running = cli.terminal('attune delete --prefix old/', { env: { ATTUNE_URL: service.url } });
      await running.until(({ stdout }) => stdout.includes('old/a') && stdout.includes('Delete this key'));
      running.child.stdin?.write(answer);
      const { code, stdout } = await running.ended;
      expect(stdout).toContain('nothing was deleted');
      expect(code).toBe(1);
    }
    expect((await service.get('/api/v1/configs/old/a')).status).toBe(200);
    const running = cli.terminal('attune delete --prefix old/', { env: { ATTUNE_URL: service.url } });
    await running.until(({ stdout }) => stdout.includes('Delete this key'));
    running.child.stdin?.write('y');
    expect((await running.ended).code).toBe(0);
    expect((await service.get('/api/v1/configs/old/a')).status).toBe(404);
  });
});

describe('attune list', () => {
  beforeEach(async () => {
    for (const [key, value] of Object.entries({ 'app/db/host': 'x', 'app/db/port': 5432, 'app/name': 'y', 'app-2': 1, zoo: null }))
      await service.set(key, value);
  });

  it('shows keys and values in byte order', async () => {
    const { stdout, stderr, code } = await attune(['list']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ['KEY', 'VALUE'],
      ['app-2', '1'],
      ['app/db/host', 'x'],
      ['app/db/port', '5432'],
      ['app/name', 'y'],
      ['zoo', 'null'],
      [''],
    ]);
  });

  it.each<[readonly string[], string]>([
    [['--depth', '1'], 'app-2\napp/\nzoo\n'],
    [['app/', '--depth', '1'], 'app/db/\napp/name\n'],
    [['--depth', '2'], 'app-2\napp/db/\napp/name\nzoo\n'],
    [['--depth', '9'], 'app-2\napp/db/host\napp/db/port\napp/name\nzoo\n'],
    [['app'], 'app-2\napp/db/host\napp/db/port\napp/name\n'],
    [['app/db/'], 'app/db/host\napp/db/port\n'],
  ])('%j folds what is deeper', async (words, keys) => {
    expect((await attune(['list', ...words, '--keys-only'])).stdout).toBe(keys);
  });

  it('is JSON or YAML for programs', async () => {
    const { stdout } = await attune(['list', 'app/', '--depth', '1', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject([{ prefix: 'app/db/' }, { key: 'app/name', value: 'y' }]);
    expect((await attune(['list', 'zoo', '-o', 'yaml'])).stdout).toMatch(/^- key: zoo\n {2}value: null\n/);
  });

  it('is friendly where there is nothing', async () => {
    expect(await attune(['list', 'none/'])).toEqual({ code: 0, stdout: '', stderr: "no keys begin with 'none/'\n" });
    expect(await attune(['list', 'none/', '-o', 'json'])).toEqual({ code: 0, stdout: '[]\n', stderr: "no keys begin with 'none/'\n" });
    for (const key of ['app/db/host', 'app/db/port', 'app/name', 'app-2', 'zoo']) await service.delete(key);
    expect((await attune(['list'])).stderr).toBe('there are no keys yet; make one: attune set app/greeting hello\n');
  });

  it('ends silently with 0 if its reader goes away', async () => {
    for (let index = 0; index < 300; index++) await service.set(`many/k${index}`, 'x'.repeat(1_000));
    const { code, stdout, stderr } = await cli.shell('attune list many/ -o json | head -n 2', { env: { ATTUNE_URL: service.url } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe('[\n  {\n');
  });

  it('has colours where they are wanted', async () => {
    expect((await attune(['list'], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\u001b[1mKEY');
    expect((await attune(['list'], { env: { FORCE_COLOR: '0' } })).stdout).not.toContain('\u001b');
    const shown = async (env: Readonly<Record<string, string>>): Promise<string> =>
      (await cli.terminal('attune list', { env: { ATTUNE_URL: service.url, ...env } }).ended).stdout;
    expect(await shown({})).toContain('\u001b[1mKEY');
    expect(await shown({ NO_COLOR: '1' })).not.toContain('\u001b');
  });
});

describe('attune edit', () => {
  const editor = (script: string): string => {
    writeFileSync(join(cli.folder, 'editor.sh'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return join(cli.folder, 'editor.sh');
  };
  const edit = (key: string, script: string, words: readonly string[] = []): Promise<CliResult> =>
    attune(['edit', key, ...words], { env: { EDITOR: `${editor(script)} --wait` } });
  const drafts = (): readonly string[] => readdirSync(cli.folder).filter((name) => name.startsWith('attune-edit-'));

  it('stores what the editor leaves, JSON laid out for reading', async () => {
    await service.put('app/retry', { value: { attempts: 3, waitMs: 10 } });
    const { stdout, code } = await edit('app/retry', `cat "$2" > ${cli.folder}/seen; sed -i s/3/4/ "$2"`);
    expect([code, withoutVersion(stdout)]).toEqual([0, 'app/retry = {"attempts":4,"waitMs":10} (object)  version N\n']);
    expect(readFileSync(join(cli.folder, 'seen'), 'utf8')).toBe('{\n  "attempts": 3,\n  "waitMs": 10\n}');
    expect(drafts()).toEqual([]);
  });

  it('adds no line feed that the editor added', async () => {
    await service.put('t', { value: 'hello', contentType: 'text/plain' });
    await edit('t', 'echo changed > "$2"');
    expect((await service.item('t')).value).toBe('changed');
  });

  it('writes nothing if nothing was changed, the layout of JSON aside', async () => {
    await service.put('j', { value: { a: 1 } });
    const { version } = await service.item('j');
    expect(await edit('j', 'echo \'{"a":1}\' > "$2"')).toEqual({ code: 0, stdout: '', stderr: 'nothing was changed\n' });
    expect((await service.item('j')).version).toBe(version);
  });

  it('makes a key that is not there', async () => {
    expect((await edit('fresh', 'echo 20 > "$2"')).code).toBe(0);
    expect(await service.item('fresh')).toMatchObject({ value: 20, contentType: 'application/json' });
  });

  it('does not overwrite what somebody else wrote meanwhile, and keeps the text', async () => {
    await service.put('k', { value: 1 });
    const { code, stderr } = await edit('k', `curl -s -X PUT ${service.url}/api/v1/configs/k -d '{"value":2}' > /dev/null; echo 3 > "$2"`);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^your text is kept in .*\nattune: CONFLICT: /);
    expect((await service.item('k')).value).toBe(2);
    const kept = /kept in (.*)\n/.exec(stderr)?.[1] ?? '';
    expect(readFileSync(kept, 'utf8')).toBe('3\n');
  });

  it('stores nothing if the editor fails', async () => {
    await service.put('k', { value: 1 });
    const { code, stderr } = await edit('k', 'echo 3 > "$2"; exit 7');
    expect(code).toBe(1);
    expect(stderr).toContain('ended with code 7; nothing was stored');
    expect((await service.item('k')).value).toBe(1);
  });
});

describe('attune status', () => {
  it('shows how the server is', async () => {
    const { stdout, code } = await attune(['status']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^url +${service.url}\n`));
    expect(stdout).toMatch(/\nstate +live\n/);
    expect(stdout).toMatch(/\nstore\.provider +memory\n/);
    expect(JSON.parse((await attune(['status', '-o', 'json'])).stdout)).toMatchObject({ state: 'live' });
  });
});

describe('wrong usage', () => {
  it.each<[readonly string[], string]>([
    [['gett', 'x'], "attune: unknown command 'gett'; did you mean 'get'?\n"],
    [['get', 'x', '--outptu', 'json'], "attune: unknown option '--outptu'; did you mean '--output'?\n"],
    [
      ['get', 'x', '-o', 'xml'],
      "attune: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are json, yaml, table, raw.\n",
    ],
    [['get'], "attune: missing required argument 'key'\n"],
    [['get', 'a', 'b'], "attune: too many arguments for 'get'. Expected 1 argument but got 2.\n"],
    [
      ['set', 'k', '1', '--if-version', 'x'],
      "attune: option '--if-version <n>' argument 'x' is invalid. A version is a whole number, 0 for \"does not exist\".\n",
    ],
    [
      ['set', 'k', '1', '--metadata', 'x'],
      "attune: option '--metadata <name=value>' argument 'x' is invalid. Metadata is written name=value.\n",
    ],
    [['set', 'k', '1', '--json', '--text'], 'attune: --json and --text contradict each other; give one of them\n'],
    [['set', 'k', '1', '--create', '--if-version', '4'], 'attune: --create and --if-version 4 contradict each other; give one of them\n'],
    [['delete'], 'attune: nothing to delete: name a key, or a --prefix\n'],
    [['delete', 'a', '--prefix', 'b/'], "attune: both keys and --prefix 'b/' are given; give one of them\n"],
    [['list', '--depth', '0'], "attune: option '--depth <n>' argument '0' is invalid. A depth is a whole number from 1 to 99.\n"],
    [['status', '--url', 'ftp://x'], "attune: url 'ftp://x' is not http or https; write it as http://host:8080\n"],
    [['status', '--url', 'http://u:secret@x'], "attune: url for x holds a user name or password; give credentials as 'token' instead\n"],
    [['import', 'x.json', '--prefix', 'app'], "attune: prefix 'app' would also match 'app...'; write 'app/'\n"],
    [['import', 'x.json', '--prefix', 'a/', '--exit-code'], 'attune: --exit-code is for --dry-run\n'],
    [['export', 'app'], "attune: prefix 'app' would also match 'app...'; write 'app/'\n"],
    [['export', 'app/', '--separator', '.'], 'attune: --separator is for .properties and .env files\n'],
    [
      ['completion', 'tcsh'],
      "attune: command-argument value 'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish.\n",
    ],
  ])('%j is told in a line, with exit code 2', async (words, stderr) => {
    expect(await attune(words)).toEqual({ code: 2, stdout: '', stderr });
  });

  it('is also to say nothing: the help is shown, with exit code 2', async () => {
    const { code, stdout, stderr } = await attune([]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: attune');
  });

  it('of a file that is not there is 1, of a key that cannot be is 7', async () => {
    expect(await attune(['set', 'k', '@none'])).toMatchObject({
      code: 1,
      stderr: 'attune: cannot read none: there is no such file (a value that begins with @ is written @@none)\n',
    });
    expect(await attune(['get', 'a//b'])).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/^attune: INVALID_KEY: invalid key 'a\/\/b'/) as string,
    });
    expect(await attune(['set', 'k', '-'], { input: new Uint8Array([0xff, 0xfe]) })).toMatchObject({
      code: 7,
      stderr: expect.stringMatching(/INVALID_BODY: stdin is not text in UTF-8/) as string,
    });
  });
});

describe('help', () => {
  it.each(['serve', 'get', 'set', 'delete', 'edit', 'list', 'watch', 'import', 'export', 'status', 'completion'])(
    'of %s says what it does, with examples that begin with attune',
    async (command) => {
      const { code, stdout, stderr } = await attune([command, '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`Usage: attune ${command}`);
      expect(stdout).toContain('--url <url>');
      const examples = stdout
        .slice(stdout.indexOf('\nExamples:\n'))
        .split('\n')
        .filter((line) => line.startsWith('  $ '));
      expect(examples.length).toBeGreaterThan(1);
      expect(examples.every((line) => line.includes('attune'))).toBe(true);
    },
  );

  it('shows every command, the exit codes, and where the server and the token come from', async () => {
    const { stdout } = await attune(['--help']);
    for (const word of [
      'serve',
      'get',
      'set',
      'delete',
      'edit',
      'list',
      'watch',
      'import',
      'export',
      'status',
      'completion',
      'ATTUNE_URL',
      'ATTUNE_TOKEN',
      '9 outcome unknown',
    ]) {
      expect(stdout).toContain(word);
    }
    expect(stdout).not.toContain('complete-keys');
    expect((await attune(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('a server that is not as it should be', () => {
  let scripted: Server;
  let answer: { readonly status: number; readonly type: string; readonly body: string };
  let seen: { readonly authorization: string | undefined; readonly agent: string | undefined };
  beforeAll(async () => {
    scripted = createServer((request, response) => {
      seen = { authorization: request.headers.authorization, agent: request.headers['user-agent'] };
      request.resume();
      response.writeHead(answer.status, { 'content-type': answer.type });
      response.end(answer.body);
    });
    await new Promise<void>((resolve) => scripted.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => scripted.close(resolve)));
  const url = (): string => `http://127.0.0.1:${(scripted.address() as AddressInfo).port}`;
  const problem = (status: number, code: string): typeof answer => ({
    status,
    type: 'application/problem+json',
    body: JSON.stringify({ type: 'x', title: 'x', status, code, detail: 'as it is' }),
  });

  it.each<[number, string, number]>([
    [401, 'UNAUTHENTICATED', 5],
    [403, 'PERMISSION_DENIED', 5],
    [409, 'LOCKED', 3],
    [412, 'CONFLICT', 3],
    [413, 'VALUE_TOO_LARGE', 7],
    [422, 'SCHEMA_VIOLATION', 7],
    [404, 'ROUTE_NOT_FOUND', 1],
    [500, 'INTERNAL', 1],
    [503, 'NOT_READY', 6],
    [504, 'OUTCOME_UNKNOWN', 9],
  ])('%i %s is exit code %i', async (status, code, exit) => {
    answer = problem(status, code);
    expect(await attune(['set', 'k', '1', '--url', url()])).toEqual({ code: exit, stdout: '', stderr: `attune: ${code}: as it is\n` });
  });

  it('that cannot be reached is exit code 6, with its URL', async () => {
    const gone = await closedUrl();
    const { code, stderr } = await attune(['get', 'k', '--url', gone]);
    expect([code, stderr]).toEqual([6, `attune: UNAVAILABLE: cannot reach ${gone}: connection refused\n`]);
  });

  it('that is no Attune server is told', async () => {
    answer = { status: 200, type: 'text/html', body: '<html>' };
    const { code, stderr } = await attune(['status', '--url', url()]);
    expect(code).toBe(1);
    expect(stderr).toContain('is this its URL?');
  });

  it('is sent the token of the environment or the context, never shown', async () => {
    answer = problem(401, 'UNAUTHENTICATED');
    await attune(['get', 'k'], { env: { ATTUNE_URL: url(), ATTUNE_TOKEN: 'secret-1' } });
    expect(seen).toMatchObject({ authorization: 'Bearer secret-1', agent: expect.stringMatching(/^attune-cli\/\d/) as string });
    mkdirSync(join(cli.folder, 'config', 'attune'), { recursive: true });
    file('config/attune/context.toml', `url = '${url()}'\ntoken = 'secret-2'\n`);
    try {
      const { stderr } = await cli.run(['get', 'k']);
      expect(seen.authorization).toBe('Bearer secret-2');
      expect(stderr).not.toContain('secret');
    } finally {
      file('config/attune/context.toml', '');
    }
  });
});

describe('completion', () => {
  it.each<[string, string, readonly string[]]>([
    ['a command', 'attune e', ['edit', 'export']],
    ['an option', 'attune list --d', ['--depth']],
    ['a value of an option', 'attune get x -o y', ['yaml']],
    ['a folder', 'attune get a', ['app/']],
    ['a key', 'attune get app/p', ['app/pool-size', 'app/pool-timeout']],
    ['a prefix of an option', 'attune export --flat ap', ['app/']],
    ['a shell', 'attune completion b', ['bash']],
  ])('of %s works in bash', async (_what, line, expected) => {
    await service.set('app/pool-size', 1);
    await service.set('app/pool-timeout', 1);
    const words = line.split(' ');
    const script = `source <(attune completion bash)
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
      _attune 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, code } = await cli.shell(script, { env: { ATTUNE_URL: service.url } });
    expect([code, stdout.trim().split('\n')]).toEqual([0, expected]);
  });

  it('offers nothing, and says nothing, if the server is not there', async () => {
    expect(await attune(['complete-keys', 'a', '--url', await closedUrl()])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each(['zsh', 'fish'])('for %s names every command', async (shell) => {
    const { stdout } = await attune(['completion', shell]);
    for (const command of ['serve', 'get', 'watch', 'import', 'print-settings', 'dry-run']) expect(stdout).toContain(command);
  });
});
