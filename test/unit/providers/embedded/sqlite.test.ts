import { describe, expect, it } from 'vitest';
import { isAtLeast, loadSqlite, type SqliteSources } from '../../../../src/providers/embedded/sqlite.ts';

class BuiltIn {
  readonly origin = 'built in';
}

class Packaged {
  readonly origin = 'package';
}

function sources(overrides: Partial<SqliteSources>): SqliteSources {
  return {
    nodeVersion: '24.21.0',
    builtInVersion: '3.53.4',
    builtIn: () => ({ DatabaseSync: BuiltIn }),
    optionalPackage: async () => ({ DatabaseSync: Packaged }),
    ...overrides,
  };
}

describe('the SQLite driver', () => {
  it.each([
    ['24.21.0', '3.53.4', 'built in'],
    ['26.10.0', '3.51.3', 'built in'],
    ['24.0.0', '3.49.1', 'package'],
    ['24.0.0', undefined, 'package'],
    ['22.23.3', '3.51.3', 'package'],
    ['20.19.0', undefined, 'package'],
  ])('on Node %s with SQLite %s is the %s one', async (nodeVersion, builtInVersion, origin) => {
    const open = await loadSqlite(sources({ nodeVersion, builtInVersion }));
    expect(open(':memory:')).toMatchObject({ origin });
  });

  it('is found under its new name', async () => {
    const open = await loadSqlite(sources({ builtIn: () => ({ Database: BuiltIn }) }));
    expect(open(':memory:')).toBeInstanceOf(BuiltIn);
  });

  it('that is missing is named, with the command that installs it', async () => {
    const missing = loadSqlite(
      sources({
        nodeVersion: '20.19.0',
        builtInVersion: undefined,
        optionalPackage: async () => {
          throw new Error("Cannot find package '@photostructure/sqlite'\nand a stack");
        },
      }),
    );
    await expect(missing).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message:
        'the embedded store needs SQLite 3.51.3: Node 20.19.0 has none and the optional package @photostructure/sqlite does not load ' +
        "(Cannot find package '@photostructure/sqlite'); install it with: npm install @photostructure/sqlite@1",
    });
  });

  it('of this machine loads and runs', async () => {
    const database = (await loadSqlite())(':memory:');
    expect(database.prepare('SELECT 1 + 1 AS two').get()).toMatchObject({ two: 2 });
    database.close();
  });
});

describe('a version', () => {
  it.each([
    ['3.51.3', '3.51.3', true],
    ['3.51.2', '3.51.3', false],
    ['3.53', '3.51.3', true],
    ['3.51', '3.51.3', false],
    ['3.6.0', '3.51.3', false],
    ['4.0.0', '3.51.3', true],
  ])('%s compared with %s: at least it is %s', (version, oldest, expected) => {
    expect(isAtLeast(version, oldest)).toBe(expected);
  });
});
