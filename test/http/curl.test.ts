import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpService } from '../support/http-service.ts';

/** What people type, typed. */

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

async function run(command: string, args: readonly string[], input?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: 15_000 }, (error, stdout) => {
      if (error && typeof error.code !== 'number') reject(new Error(`${command} did not run`, { cause: error }));
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout });
    });
    if (input !== undefined) child.stdin?.end(input);
  });
}

describe('curl', () => {
  let service: HttpService;
  let folder = '';

  beforeAll(async () => {
    service = await HttpService.start();
    folder = mkdtempSync(join(tmpdir(), 'attune-curl-'));
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await service[Symbol.asyncDispose]();
  });

  const url = (path: string): string => `${service.url}/api/v1${path}`;
  const curl = async (...args: string[]): Promise<string> => (await run('curl', ['-sS', ...args])).stdout;
  const file = (name: string, text: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const raw = async (key: string): Promise<string> => curl(url(`/configs/${key}?raw`));

  it('-d writes an envelope', async () => {
    const item = JSON.parse(await curl('-X', 'PUT', url('/configs/c/d'), '-d', '{"value":20,"metadata":{"owner":"ann"}}'));
    expect(item).toMatchObject({ key: 'c/d', value: 20, metadata: { owner: 'ann' }, contentType: 'application/json' });
    expect(await raw('c/d')).toBe('20');
  });

  it('-d writes a bare value with ?raw', async () => {
    await curl('-X', 'PUT', url('/configs/c/raw?raw'), '-d', '{"a": 1.10}');
    expect(await raw('c/raw')).toBe('{"a": 1.10}');
  });

  it('--json writes an envelope', async () => {
    expect(JSON.parse(await curl('-X', 'PUT', url('/configs/c/json'), '--json', '{"value":[1]}')).value).toEqual([1]);
  });

  it.each([
    ['number.txt', '20\n', 20, 'application/json'],
    ['object.json', '{\n  "a": 1\n}\n', { a: 1 }, 'application/json'],
    ['text.ini', '[a]\nb = 1\n', '[a]\nb = 1\n', 'text/plain'],
    ['version.txt', '1.10\n', '1.10\n', 'text/plain'],
    ['empty', '', '', 'text/plain'],
  ])('-T stores the file %s as what it is', async (name, text, value, contentType) => {
    const item = JSON.parse(await curl('-T', file(name, text), url(`/configs/files/${name}`)));
    expect(item).toMatchObject({ value, contentType });
  });

  it('-T keeps the type that the item has', async () => {
    await curl('-X', 'PUT', url('/configs/c/ini'), '-H', 'Content-Type: text/x-ini', '--data-binary', '[a]');
    await curl('-T', file('json-like', '{"a":1}'), url('/configs/c/ini'));
    expect(JSON.parse(await curl(url('/configs/c/ini')))).toMatchObject({ value: '{"a":1}', contentType: 'text/x-ini' });
  });

  it('-T - stores what comes on standard input, in chunks', async () => {
    const { stdout } = await run('curl', ['-sS', '-T', '-', url('/configs/c/stdin')], 'from a pipe\n');
    expect(JSON.parse(stdout).value).toBe('from a pipe\n');
  });

  it('-T stores a file of a megabyte after asking, and is told when it is too large', async () => {
    expect(JSON.parse(await curl('-T', file('large', 'x'.repeat(500_000)), url('/configs/c/large'))).value).toHaveLength(500_000);
    const refused = await curl(
      '-w',
      '%{http_code}',
      '-o',
      '/dev/null',
      '-T',
      file('too-large', 'x'.repeat(3_000_000)),
      url('/configs/c/large'),
    );
    expect(refused).toBe('413');
  });

  it('--data-binary with a type stores a file of that type', async () => {
    const yaml = 'a: 1\nb:\n  - x\n';
    await curl('-X', 'PUT', url('/configs/c/yaml'), '-H', 'Content-Type: application/yaml', '--data-binary', `@${file('c.yaml', yaml)}`);
    expect(await raw('c/yaml')).toBe(yaml);
  });

  it('-f fails with what is refused', async () => {
    expect((await run('curl', ['-sf', url('/configs/absent')])).code).toBe(22);
    expect((await run('curl', ['-sf', url('/configs/c/d')])).code).toBe(0);
  });

  it('-I shows the headers', async () => {
    const head = await curl('-I', url('/configs/c/d'));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head).toMatch(/^etag: "/im);
  });

  it('-z and --etag-compare fetch only what changed', async () => {
    const saved = join(folder, 'etag');
    await curl('--etag-save', saved, '-o', join(folder, 'item'), url('/configs/c/d'));
    expect(await curl('--etag-compare', saved, '-w', '%{http_code}', '-o', '/dev/null', url('/configs/c/d'))).toBe('304');
  });

  it('reads a key with any characters, percent-encoded', async () => {
    await curl('-X', 'PUT', url('/configs/%D0%BA%D0%BB%D1%8E%D1%87/a%20b%2Bc'), '-d', '{"value":"da"}');
    expect(await raw('%D0%BA%D0%BB%D1%8E%D1%87/a%20b%2Bc')).toBe('"da"');
    const { items } = JSON.parse(await curl('-G', url('/configs'), '--data-urlencode', 'prefix=ключ/a b+'));
    expect(items.map((item: { key: string }) => item.key)).toEqual(['ключ/a b+c']);
  });

  it('--path-as-is reaches nothing above a key', async () => {
    expect(await curl('--path-as-is', '-w', '%{http_code}', '-o', '/dev/null', url('/configs/../status'))).toBe('400');
    expect(await curl('--path-as-is', '-w', '%{http_code}', '-o', '/dev/null', url('/configs/a/../../status'))).toBe('400');
  });

  it('the five commands of GET / work as they are printed', async () => {
    const page = await curl(`${service.url}/`);
    const commands = page.split('\n').flatMap((line) => /^ {2}\w+ +(curl .*)$/.exec(line)?.[1] ?? []);
    expect(commands).toHaveLength(5);
    const [watch = '', ...others] = commands;
    const watching = spawn('sh', ['-c', `exec ${watch.replace('curl', 'curl -sS')}`]);
    try {
      let seen = '';
      const told = new Promise<void>((resolve) => {
        watching.stdout.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
          if (seen.includes('"type":"deleted"')) resolve();
        });
      });
      await new Promise<void>((resolve) => watching.stdout.once('data', () => resolve()));
      const outputs: string[] = [];
      for (const command of others) outputs.push((await run('sh', ['-c', command.replace('curl', 'curl -sSf')])).stdout);
      expect(outputs[0]).toContain('"key":"app/pool-size","value":20');
      expect(outputs[1]).toBe('20');
      expect(outputs[2]).toContain('\n      "key": "app/pool-size"');
      expect(outputs[3]).toBe('');
      await told;
      expect(seen).toContain('"type":"created"');
    } finally {
      watching.kill();
    }
  });

  it('-sN | sed | jq reads a stream', async () => {
    const pipe = spawn(
      'sh',
      [
        '-c',
        `curl -sN '${url('/watch?prefix=jq/&snapshot')}' | sed -un 's/^data: //p' | (command -v jq >/dev/null && exec jq -c --unbuffered . || exec cat)`,
      ],
      {
        detached: true,
      },
    );
    try {
      const lines: unknown[] = [];
      let text = '';
      let wake = (): void => undefined;
      pipe.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          lines.push(JSON.parse(text.slice(0, end)));
          text = text.slice(end + 1);
        }
        wake();
      });
      const arrived = async (count: number): Promise<void> => {
        while (lines.length < count) await new Promise<void>((resolve) => (wake = resolve));
      };
      await arrived(1);
      expect(lines[0]).toMatchObject({ revision: expect.any(Number), count: 0 });
      await service.outside({ 'jq/a': '{\n "x": 1\n}', 'jq/b': 'a\nb\u2028c' });
      await arrived(2);
      expect(lines[1]).toMatchObject({
        changes: [
          { key: 'jq/a', newValue: { x: 1 } },
          { key: 'jq/b', newValue: 'a\nb\u2028c' },
        ],
      });
    } finally {
      // The whole pipe: curl would sit there until its next write.
      if (pipe.pid !== undefined) process.kill(-pipe.pid);
    }
  });

  it('waits with a long-poll', async () => {
    const { version } = await service.item('c/d');
    const poll = curl(url(`/configs/c/d?watch&version=${version}`));
    await service.put('c/d', { value: 'changed' });
    expect(JSON.parse(await poll)).toMatchObject({ type: 'updated', newValue: 'changed' });
  });
});
