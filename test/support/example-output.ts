import { expect } from 'vitest';

/** What differs from run to run, and what stands for it: epochs, times, request ids, a stream's wait before it comes back. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<uuid>'],
  [/\b[0-9a-f]{16}\b/g, '<epoch>'],
  [/^retry: \d+$/gm, 'retry: <ms>'],
];

/** `text` with a stand-in for everything that differs from run to run. */
function withoutVariables(text: string): string {
  return VARIABLE.reduce((shown, [pattern, standIn]) => shown.replaceAll(pattern, standIn), text).trimEnd();
}

/** Fails unless `actual` says what the page shows. A line `...` on the page stands for any lines, none too. */
export function expectOutput(actual: string, page: string): void {
  const pattern = withoutVariables(page)
    .split('\n')
    .map((line) => (line.trim() === '...' ? '(?:.*\\n)*?' : `${escapeForPattern(line)}\\n`))
    .join('');
  // Compared as text, so that a failure shows the difference.
  if (!new RegExp(`^${pattern}$`).test(`${withoutVariables(actual)}\n`)) expect(withoutVariables(actual)).toBe(withoutVariables(page));
}

const escapeForPattern = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
