import { escapeKey, escapeValue } from 'properties-file/escape';
import { Properties } from 'properties-file/parser';
import type { ParsedEntries } from './codec.ts';

/** Java's `.properties`, as `java.util.Properties` reads it. Of a name that stands twice the last counts, and it is noted. */
export function parseProperties(text: string, source: string): ParsedEntries {
  const properties = new Properties(text);
  const entries = new Map<string, string>();
  const notes: string[] = [];
  for (const node of properties.nodes) {
    if (!('key' in node) || !('value' in node)) continue;
    if (entries.has(node.key)) notes.push(`${source}: '${node.key}' stands twice; the last one counts`);
    entries.set(node.key, node.value);
  }
  return { entries, notes };
}

/** `name=value` lines, escaped as far as Java needs it; non-ASCII characters as they are (UTF-8, as Java reads since version 9). */
export function formatProperties(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([name, value]) => `${escapeKey(name)}=${escapeValue(value)}\n`).join('');
}
