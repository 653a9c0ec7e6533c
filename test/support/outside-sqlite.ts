import { spawnSync } from 'node:child_process';

/** Answers of the `sqlite3` tool, or of the driver in another process where that tool is not installed: one line a row, `|` between columns. */
export function queryFromOutside(file: string, sql: string): string {
  const tool = spawnSync('sqlite3', ['-readonly', file, sql], { encoding: 'utf8', timeout: 20_000 });
  const result = tool.error
    ? spawnSync(process.execPath, ['--import', 'tsx', import.meta.filename, file, sql], { encoding: 'utf8', timeout: 20_000 })
    : tool;
  if (result.status !== 0) throw new Error(`outside query failed: ${result.stderr}`);
  return result.stdout.trim();
}

if (process.argv[1] === import.meta.filename) {
  const { loadSqlite } = await import('../../src/providers/embedded/sqlite.ts');
  const [, , file = '', sql = ''] = process.argv;
  const database = (await loadSqlite())(file);
  for (const row of database.prepare(sql).all()) process.stdout.write(`${Object.values(row).join('|')}\n`);
  database.close();
}
