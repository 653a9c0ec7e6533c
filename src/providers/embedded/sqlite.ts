import { UnavailableError } from '../../core/provider.ts';

/** The part of the `node:sqlite` API that is used here; two drivers have it. */
export type SqliteValue = string | number | Uint8Array | null;

export type SqliteRow = Readonly<Record<string, SqliteValue>>;

export interface SqliteStatement {
  run(...parameters: readonly SqliteValue[]): unknown;
  get(...parameters: readonly SqliteValue[]): SqliteRow | undefined;
  all(...parameters: readonly SqliteValue[]): SqliteRow[];
  iterate(...parameters: readonly SqliteValue[]): Iterable<SqliteRow>;
}

export interface SqliteDatabase {
  readonly isTransaction: boolean;
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export type OpenSqlite = (file: string) => SqliteDatabase;

/** Where a driver can come from. */
export interface SqliteSources {
  readonly nodeVersion: string;
  /** The version of SQLite inside Node; undefined where there is none. */
  readonly builtInVersion: string | undefined;
  builtIn(): unknown;
  optionalPackage(): Promise<unknown>;
}

/** Before 3.51.3 a WAL could be reset under a second connection, and lose commits. */
export const OLDEST_SQLITE = '3.51.3';

const PACKAGE = '@photostructure/sqlite';

const SOURCES: SqliteSources = {
  nodeVersion: process.versions.node,
  builtInVersion: process.versions['sqlite'],
  builtIn: () => process.getBuiltinModule('node:sqlite'),
  optionalPackage: async () => import('@photostructure/sqlite'),
};

/**
 * The SQLite inside Node, from Node 24 on and if it is new enough, else that of the optional package. Node 22 has one too, which
 * announces itself as experimental on every start.
 * @throws {UnavailableError} neither is there.
 */
export async function loadSqlite(sources: SqliteSources = SOURCES): Promise<OpenSqlite> {
  const { nodeVersion, builtInVersion } = sources;
  const isBuiltIn = Number.parseInt(nodeVersion, 10) >= 24 && builtInVersion !== undefined && isAtLeast(builtInVersion, OLDEST_SQLITE);
  try {
    const Database = databaseOf(isBuiltIn ? sources.builtIn() : await sources.optionalPackage());
    return (file) => new Database(file);
  } catch (cause) {
    throw new UnavailableError(
      `the embedded store needs SQLite ${OLDEST_SQLITE}: Node ${nodeVersion} ${builtInVersion ? `has ${builtInVersion}` : 'has none'} ` +
        `and the optional package ${PACKAGE} does not load (${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)}); ` +
        `install it with: npm install ${PACKAGE}@1`,
      { cause },
    );
  }
}

/** True if the dotted version `version` is `oldest` or later. */
export function isAtLeast(version: string, oldest: string): boolean {
  const actual = version.split('.').map(Number);
  for (const [index, wanted] of oldest.split('.').map(Number).entries()) {
    const part = actual[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

function databaseOf(module: unknown): new (file: string) => SqliteDatabase {
  // Node renames DatabaseSync to Database (DEP0210); the package knows the old name only.
  const { Database, DatabaseSync } = module as Record<'Database' | 'DatabaseSync', (new (file: string) => SqliteDatabase) | undefined>;
  const found = Database ?? DatabaseSync;
  if (!found) throw new Error('it has no class Database');
  return found;
}
