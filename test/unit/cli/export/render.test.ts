import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { valueOfTree, type ConfigValue } from '../../../../src/cli/config-value.ts';
import { renderExport } from '../../../../src/cli/export/render.ts';
import { FORMATS, loadCodec, type Format } from '../../../../src/cli/formats/codec.ts';
import { planImport } from '../../../../src/cli/import/plan-import.ts';
import { readSource, type SourceOptions } from '../../../../src/cli/import/source.ts';
import type { StoredItem } from '../../../../src/cli/snapshot.ts';
import { keyProblem } from '../../../../src/core/key.ts';
import { anyTreeObject } from '../trees.ts';

const itemOf = (value: ConfigValue): StoredItem => ({
  value,
  contentType: value.kind === 'json' ? 'application/json' : 'text/plain',
  version: 1,
  isBytes: false,
});
const json = (text: string): StoredItem => itemOf({ kind: 'json', text });
const text = (content: string): StoredItem => itemOf({ kind: 'text', text: content });
const itemsOf = (items: Readonly<Record<string, StoredItem>>): ReadonlyMap<string, StoredItem> => new Map(Object.entries(items));
const render = async (format: Format, items: ReadonlyMap<string, StoredItem>, flat = false, separator?: string) =>
  renderExport(items, await loadCodec(format), { prefix: 'app/', flat, separator });

const ITEMS = itemsOf({
  'app/db/host': json('"x"'),
  'app/db/port': json('5432'),
  'app/name': text('hello'),
  'app/packages/~/v': json('1.10'),
  'app/packages/node_modules~1@s~1n': json('{}'),
});

describe('an export', () => {
  it.each<[Format, string]>([
    [
      'json',
      '{\n  "db": {\n    "host": "x",\n    "port": 5432\n  },\n  "name": "hello",\n  "packages": {\n    "": {\n      "v": 1.10\n    },\n    "node_modules/@s/n": {}\n  }\n}\n',
    ],
    ['yaml', 'db:\n  host: x\n  port: 5432\nname: hello\npackages:\n  "":\n    v: 1.10\n  node_modules/@s/n: {}\n'],
    ['toml', 'name = "hello"\n\n[db]\nhost = "x"\nport = 5432\n\n[packages.""]\nv = 1.1\n\n[packages."node_modules/@s/n"]\n'],
    ['properties', 'db.host=x\ndb.port=5432\nname=hello\npackages..v=1.10\npackages.node_modules/@s/n={}\n'],
  ])('is %s', async (format, expected) => {
    expect((await render(format, ITEMS)).text).toBe(expected);
  });

  it('is .env where the names allow it', async () => {
    const items = itemsOf({ 'app/DB/HOST': text('x y'), 'app/PORT': json('5432') });
    expect((await render('env', items)).text).toBe("DB__HOST='x y'\nPORT=5432\n");
    await expect(render('env', ITEMS)).rejects.toThrow(/'packages__node_modules\/@s\/n' is not a name of a .env file/);
  });

  it('is one member a key with --flat, whatever is stored', async () => {
    const items = itemsOf({ 'app/a': json('1'), 'app/a/b': text('x'), 'app/a~0': json('[]') });
    expect((await render('json', items, true)).text).toBe('{\n  "a": 1,\n  "a/b": "x",\n  "a~0": []\n}\n');
    await expect(render('json', items)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('--flat') as string,
    });
  });

  it('of nothing is an empty object, an empty file', async () => {
    expect(await Promise.all(FORMATS.map(async (format) => (await render(format, new Map())).text))).toEqual(['{}\n', '{}\n', '', '', '']);
  });

  it('notes what import would not bring back', async () => {
    const bytes = new Map([['app/b', { ...text('AAEC'), contentType: 'application/octet-stream', isBytes: true }]]);
    const notesOf = async (format: Format, items: ReadonlyMap<string, StoredItem>, separator?: string) =>
      (await render(format, items, false, separator)).notes;
    expect(await notesOf('json', bytes)).toEqual(["bytes that are not text are written in base64: 'app/b'"]);
    const inexact = "import would make other keys of these (--flat keeps them exactly): 'a";
    expect(await notesOf('json', itemsOf({ 'app/a~0b': json('1') }))).toEqual([`${inexact}~0b'`]);
    expect(await notesOf('properties', itemsOf({ 'app/a.b': json('1') }))).toEqual([`${inexact}.b'`]);
    expect(await notesOf('properties', itemsOf({ 'app/a.b': json('1') }), '_')).toEqual([]);
    const many = itemsOf(Object.fromEntries(['a.1', 'a.2', 'a.3', 'a.4', 'a.5'].map((key) => [`app/${key}`, json('1')])));
    expect(await notesOf('properties', many)).toEqual([`${inexact}.1', 'a.2', 'a.3' and 2 more`]);
    expect((await render('json', ITEMS)).notes).toEqual([]);
  });

  it('refuses two keys of one name', async () => {
    await expect(render('properties', itemsOf({ 'app/a.b': json('1'), 'app/a/b': json('2') }))).rejects.toThrow(
      /'a.b' and 'a\/b' would both be called 'a.b'; give another --separator, or --flat/,
    );
  });
});

/** Keys as anybody might have made them: short segments that clash, escape and contain separators. */
const anyKey = fc
  .array(
    fc.oneof(
      fc.constantFrom('a', 'b', 'a.b', 'a__b', '~', '~0', 'a~1b', '~u0041', 'x~', 'A', '__proto__', 'é', ' '),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }),
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((segments) => segments.join('/'))
  .filter((key) => keyProblem(key) === undefined);
const envName = fc.constantFrom('A', 'B', 'C_D', 'x', '1', '_', 'a.b', 'c-d', 'E__F');
const envKey = fc.array(envName, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'));
const anyValue = anyTreeObject().map((object) => valueOfTree([...object.values()][0] ?? null));
const itemsAt = (key: fc.Arbitrary<string>) =>
  fc
    .array(fc.tuple(key, anyValue), { maxLength: 8 })
    .map((entries) => new Map(entries.map(([name, value]) => [`app/${name}`, itemOf(value)])));

describe('an export, imported again', () => {
  const importsAs = async (format: Format, file: string, options: Partial<SourceOptions>, stored: ReadonlyMap<string, StoredItem>) =>
    planImport(await readSource(`x.${format}`, file, { prefix: 'app/', infer: true, ...options }), stored, {}, true).changes;

  it.each(['json', 'yaml', 'properties', 'env', 'toml'] as const)('as flat %s changes nothing, whatever is stored', async (format) => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(itemsAt(format === 'env' ? envName : anyKey), async (items) => {
        const rendered = await render(format, items, true).catch(() => undefined);
        if (rendered === undefined) return;
        compared += items.size;
        expect(await importsAs(format, rendered.text, { flat: true }, items)).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(50);
  });

  it.each(['json', 'yaml', 'properties', 'env', 'toml'] as const)(
    'as %s changes nothing, or the export has said what it would',
    async (format) => {
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(itemsAt(format === 'env' ? envKey : anyKey), async (items) => {
          const rendered = await render(format, items).catch(() => undefined);
          if (rendered === undefined || rendered.notes.length > 0) return;
          compared += items.size;
          expect(await importsAs(format, rendered.text, {}, items)).toEqual([]);
        }),
        { numRuns: 300 },
      );
      expect(compared).toBeGreaterThan(format === 'env' ? 10 : 50);
    },
  );

  it('into an empty place makes what a nested file said, and exports as the same file', async () => {
    await fc.assert(
      fc.asyncProperty(anyTreeObject(), fc.constantFrom('json' as const, 'yaml' as const), async (object, format) => {
        const file = (await loadCodec(format)) as { format(tree: typeof object): string };
        const made = await importsAs(format, file.format(object), {}, new Map()).catch(() => undefined);
        if (made === undefined) return;
        const items = new Map(made.flatMap((change) => (change.type === 'deleted' ? [] : [[change.key, itemOf(change.value)] as const])));
        const again = await importsAs(format, (await render(format, items)).text, {}, items);
        expect(again).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
