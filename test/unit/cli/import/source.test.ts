import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../../src/cli/exit-code.ts';
import { planImport } from '../../../../src/cli/import/plan-import.ts';
import { readSource, type SourceOptions } from '../../../../src/cli/import/source.ts';
import { diffLine } from '../../../../src/cli/import/diff.ts';
import type { StoredItem } from '../../../../src/cli/snapshot.ts';

const read = (path: string, text: string, options: Partial<SourceOptions> = {}) => readSource(path, text, { infer: true, ...options });
const json = (text: string): StoredItem => ({ value: { kind: 'json', text }, contentType: 'application/json', version: 1, isBytes: false });

async function diffOf(
  path: string,
  text: string,
  options: Partial<SourceOptions>,
  stored: Readonly<Record<string, StoredItem>> = {},
  prune = false,
) {
  const source = await read(path, text, options);
  return planImport(source, new Map(Object.entries(stored)), { limits: { maxValueBytes: 100 } }, prune).changes.map((change) =>
    diffLine(change),
  );
}

describe('a file to import', () => {
  it.each<[string, string, Partial<SourceOptions>, readonly string[]]>([
    ['app.json', '{"db":{"host":"x","ports":[1,2]}}', { prefix: 'app/' }, ['+ app/db/host = x', '+ app/db/ports = [1,2]']],
    ['app.yml', 'db:\n  host: x', { prefix: 'app/' }, ['+ app/db/host = x']],
    ['app.toml', '[db]\nport = 5432', { prefix: '' }, ['+ db/port = 5432']],
    ['app.properties', 'db.host=x\ndb.port=5432', { prefix: 'app/' }, ['+ app/db/host = x', '+ app/db/port = 5432']],
    ['.env', 'DB__HOST=x\nDB_PORT=5432', { prefix: 'app/' }, ['+ app/DB/HOST = x', '+ app/DB_PORT = 5432']],
    ['.env.production', 'A=1', { prefix: 'app/' }, ['+ app/A = 1']],
    ['-', '{"a":1}', { prefix: 'app/', format: 'yaml' }, ['+ app/a = 1']],
    ['app.conf', 'a=1', { prefix: 'app/', format: 'properties' }, ['+ app/a = 1']],
    ['app.properties', 'a.b=1', { prefix: 'app/', separator: '_' }, ['+ app/a.b = 1']],
    ['app.properties', 'a/b=1', { prefix: 'app/', flat: true }, ['+ app/a/b = 1']],
    ['app.properties', 'a=20', { prefix: 'app/', infer: false }, ['+ app/a = "20"']],
    ['app.json', '{"db":{"host":"x"},"a/b":1}', { prefix: 'app/', flat: true }, ['+ app/a/b = 1', '+ app/db = {"host":"x"}']],
    ['etc/app.yaml', 'a: 1\n', { asDocument: 'conf/app' }, ['+ conf/app = "a: 1\\n"']],
    ['etc/app.yaml', 'a: 1\n', { asDocument: true, prefix: 'conf/' }, ['+ conf/app.yaml = "a: 1\\n"']],
    ['app.json', ' {"a": 1.0}\n', { asDocument: 'conf/app' }, ['+ conf/app = {"a":1.0}']],
    ['empty.json', '{}', { prefix: 'app/' }, []],
    ['empty.env', '', { prefix: 'app/' }, []],
  ])('%s with %j and %o gives the keys its rule says', async (path, text, options, lines) => {
    expect(await diffOf(path, text, options)).toEqual(lines);
  });

  it('keeps an object whole where the server keeps it so, so that an export imports as no change', async () => {
    expect(await diffOf('a.json', '{"retry":{"attempts":3}}', { prefix: 'app/' }, { 'app/retry': json('{"attempts": 3}') })).toEqual([]);
    expect(await diffOf('a.json', '{"retry":{"attempts":4}}', { prefix: 'app/' }, { 'app/retry': json('{"attempts": 3}') })).toEqual([
      '~ app/retry = {"attempts":3} -> {"attempts":4}',
    ]);
  });

  it('leaves alone what a flat file would write the same', async () => {
    expect(
      await diffOf('a.env', 'A=20\nB=x', { prefix: '' }, { A: { ...json('20'), value: { kind: 'text', text: '20' } }, B: json('"x"') }),
    ).toEqual([]);
  });

  it('refuses a key that would be a value and a folder at once, unless the other goes', async () => {
    const stored = { 'app/db': json('1') };
    await expect(diffOf('a.json', '{"db":{"host":1}}', { prefix: 'app/' }, stored)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^the file has 'app\/db\/host', the server has 'app\/db': .*--prune.*--flat/) as string,
    });
    expect(await diffOf('a.json', '{"db":{"host":1}}', { prefix: 'app/' }, stored, true)).toEqual(['- app/db = 1', '+ app/db/host = 1']);
    expect(await diffOf('a.properties', 'db.host=1', { prefix: 'app/' }, stored)).toEqual(['+ app/db/host = 1']);
    expect(await diffOf('a.json', '{"db/host":1}', { prefix: 'app/', flat: true }, stored)).toEqual(['+ app/db/host = 1']);
  });

  it.each<[string, string, Partial<SourceOptions>, RegExp]>([
    ['app.json', '{}', {}, /where to\? Give --prefix/],
    ['app.conf', 'x', { prefix: '' }, /the format of app.conf is not known; give --format json\|yaml/],
    ['-', '{}', { prefix: '' }, /the format of stdin is not known/],
    ['app.json', '{}', { prefix: '', separator: '.' }, /--separator is for .properties and .env/],
    ['app.json', '{}', { prefix: '', infer: false }, /--text is for .properties and .env/],
    ['a.env', '', { prefix: '', flat: true, separator: '_' }, /--flat and --separator '_' contradict/],
    ['a.env', '', { prefix: '', separator: '' }, /--separator has at least one character/],
    ['a.json', '{}', { prefix: '', contentType: 'text/plain' }, /--content-type is for --as-document/],
    ['a.json', '{}', { asDocument: true }, /where to\? Give --as-document KEY, or --prefix/],
    ['-', '{}', { asDocument: true, prefix: 'a/' }, /stdin has no name/],
    ['a.json', '{}', { asDocument: 'a', prefix: 'b/' }, /--as-document a is the whole key; leave out --prefix/],
    ['a.json', '{}', { asDocument: '/a' }, /--as-document \/a: a key has no empty segment/],
    ['a.json', '{}', { asDocument: 'a', flat: true }, /mean nothing with it/],
  ])('%s with %j and %o is a mistake of usage', async (path, text, options, message) => {
    const failure = await read(path, text, options).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UsageError);
    expect(String(failure)).toMatch(message);
  });

  it.each<[string, string, Partial<SourceOptions>, string, RegExp]>([
    ['a.json', '[1]', { prefix: 'app/' }, 'INVALID_BODY', /a.json: holds an array, which has no names/],
    ['a.yaml', '', { prefix: 'app/' }, 'INVALID_BODY', /a.yaml: holds null/],
    ['a.json', '{"a":', { prefix: 'app/' }, 'INVALID_BODY', /^a.json:1:6: /],
    ['a.json', '{"a":', { asDocument: 'app/a' }, 'INVALID_BODY', /^a.json:1:6: /],
    [
      'a.json',
      `{"${'x'.repeat(510)}":1}`,
      { prefix: 'app/' },
      'INVALID_KEY',
      /at most 512 bytes of UTF-8, this one is 514; nothing was written/,
    ],
    ['a.json', '{"a//b":1}', { prefix: 'app/', flat: true }, 'INVALID_KEY', /'app\/a\/\/b': a key has no empty segment/],
    [
      'a.json',
      `{"a":"${'x'.repeat(101)}"}`,
      { prefix: 'app/' },
      'VALUE_TOO_LARGE',
      /'app\/a': the value has 101 bytes, the server takes at most 100/,
    ],
    ['a.json', `{"a":"${'é'.repeat(51)}"}`, { prefix: 'app/' }, 'VALUE_TOO_LARGE', /has 102 bytes/],
    ['a.json', '{"a":"\\ud800"}', { prefix: 'app/' }, 'INVALID_BODY', /'app\/a': the text holds half a surrogate pair/],
    ['a.json', '{"a":1e999}', { prefix: 'app/' }, 'INVALID_BODY', /1e999 is beyond the range/],
  ])('%s with %j and %o is refused before anything is written: %s', async (path, text, options, code, message) => {
    await expect(diffOf(path, text, options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('names every key that cannot be stored, at once', async () => {
    const failure: unknown = await diffOf('a.json', '{"a//b":1,"b//c":2,"c":3}', { prefix: '', flat: true }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'INVALID_KEY', message: '2 of 3 keys cannot be stored; nothing was written' });
    expect(failure).toMatchObject({ details: { errors: [{ pointer: "'a//b'" }, { pointer: "'b//c'" }] } });
  });
});
