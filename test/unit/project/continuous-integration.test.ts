import { accessSync, constants, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

const codeLines = (markdown: string): readonly string[] =>
  [...markdown.matchAll(/^```[^\n]*\n(.*?)^```/gms)].flatMap(([, code = '']) => code.split('\n').map((line) => line.trim()));

describe('.ci/run', () => {
  const script = readFileSync('.ci/run', 'utf8');

  it('is executable', () => {
    expect(() => accessSync('.ci/run', constants.X_OK)).not.toThrow();
  });

  it('runs the test command the README names', () => {
    expect(codeLines(readFileSync('README.md', 'utf8'))).toContain('npm ci && npm test');
    expect(script).toMatch(/^step install \d+ npm ci$/m);
    expect(script).toMatch(/^step test \d+ npm test$/m);
  });
});
