import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The README and every page below docs/, as paths from the root. */
export function documentationPages(): readonly string[] {
  const pages = readdirSync('docs', { withFileTypes: true, recursive: true }).filter(
    (entry) => entry.isFile() && entry.name.endsWith('.md'),
  );
  return ['README.md', ...pages.map((entry) => join(entry.parentPath, entry.name)).sort()];
}
