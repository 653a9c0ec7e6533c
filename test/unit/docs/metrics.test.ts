import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../../src/providers/memory/memory-provider.ts';
import { startHttpServer, type HttpServer } from '../../../src/server/http-server.ts';
import { parseMarkdown, tablesOf, withoutMarks } from '../../support/markdown.ts';

const documented = tablesOf(parseMarkdown(readFileSync('docs/operations.md', 'utf8')))
  .filter((table) => table.header[0] === 'metric')
  .flatMap(({ rows }) => rows.map((row) => row.map(withoutMarks)));

describe('docs/operations.md', () => {
  const provider = new MemoryProvider();
  let server: HttpServer;
  let shown: ReadonlyMap<string, string>;

  beforeAll(async () => {
    await provider.open();
    server = await startHttpServer({ provider, namespace: 'app/config' });
    const text = await (await fetch(`${server.url}/metrics`)).text();
    shown = new Map([...text.matchAll(/^# TYPE (attune_\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  });
  afterAll(async () => {
    await server.close({ graceMs: 100 });
    await provider.close();
  });

  it('lists exactly the metrics of our own that /metrics shows, each with its type', () => {
    expect(new Map(documented.map(([name = '', type = '']) => [name, type]))).toEqual(shown);
  });

  it('says of each metric what it means', () => {
    expect(documented.filter(([, , , meaning]) => !meaning)).toEqual([]);
  });
});
