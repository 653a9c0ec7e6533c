import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { findBoundaryViolations } from './import-scan.ts';

interface MadeUpViolation {
  readonly file: string;
  readonly source: string;
  readonly says: string;
  /** False where only the scan sees it: a linter looks at one statement of one file at a time. */
  readonly linted: boolean;
}

const MADE_UP_VIOLATIONS: readonly MadeUpViolation[] = [
  { file: 'src/core/a.ts', source: `import { x } from '../server/a.ts';`, says: 'src/core/a.ts imports src/server/a.ts', linted: true },
  {
    file: 'src/core/b.ts',
    source: `import type { x } from '../client/a.ts';`,
    says: 'src/core/b.ts imports src/client/a.ts',
    linted: true,
  },
  { file: 'src/core/c.ts', source: `import { readFile } from 'node:fs';`, says: 'src/core/c.ts imports node:fs', linted: true },
  { file: 'src/core/d.ts', source: `import express from 'express';`, says: 'src/core/d.ts imports the package express', linted: false },
  {
    file: 'src/providers/memory/a.ts',
    source: `export { x } from '../../server/a.ts';`,
    says: 'src/providers/memory/a.ts imports src/server/a.ts',
    linted: true,
  },
  {
    file: 'src/providers/memory/b.ts',
    source: `import { x } from '../embedded/a.ts';`,
    says: 'src/providers/memory/b.ts imports src/providers/embedded/a.ts',
    linted: false,
  },
  {
    file: 'src/conformance/a.ts',
    source: `import { x } from '../providers/memory/a.ts';`,
    says: 'src/conformance/a.ts imports src/providers/memory/a.ts',
    linted: true,
  },
  { file: 'src/client/a.ts', source: `import { x } from '../server/a.ts';`, says: 'src/client/a.ts imports src/server/a.ts', linted: true },
  { file: 'src/client/b.ts', source: `import { z } from 'zod';`, says: 'src/client/b.ts imports the package zod', linted: true },
  { file: 'src/client/c.ts', source: `import { once } from 'node:events';`, says: 'src/client/c.ts imports node:events', linted: true },
  {
    file: 'src/client/d.ts',
    source: `import {\n  type ConfigItem,\n} from '../core/item.ts';`,
    says: 'in the browser: src/client/d.ts -> src/core/item.ts -> zod',
    linted: false,
  },
  { file: 'src/server/a.ts', source: `import { x } from '../client/a.ts';`, says: 'src/server/a.ts imports src/client/a.ts', linted: true },
  {
    file: 'src/server/http/b.ts',
    source: `const { x } = await import('../../providers/memory/a.ts');`,
    says: 'src/server/http/b.ts imports src/providers/memory/a.ts',
    linted: true,
  },
  {
    file: 'src/server/http/c.ts',
    source: `import { x } from '../../providers/open-provider.ts';`,
    says: 'src/server/http/c.ts imports src/providers/open-provider.ts',
    linted: true,
  },
  {
    file: 'src/server/main.ts',
    source: `import { x } from '../providers/memory/a.ts';\nimport { y } from '../providers/embedded/a.ts';\nimport '../cli/a.ts';`,
    says: 'src/server/main.ts names more than one provider: memory, embedded',
    linted: true,
  },
  { file: 'src/cli/a.ts', source: `import { x } from '../server/a.ts';`, says: 'src/cli/a.ts imports src/server/a.ts', linted: true },
  {
    file: 'src/cli/serve.ts',
    source: `import { x } from '../providers/memory/a.ts';`,
    says: 'src/cli/serve.ts imports src/providers/memory/a.ts',
    linted: true,
  },
  { file: 'src/shared/a.ts', source: `import { x } from '../core/a.ts';`, says: 'src/shared/a.ts belongs to no layer', linted: false },
];

const ALLOWED: Readonly<Record<string, string>> = {
  'src/core/item.ts': `import { z } from 'zod';\nimport { x } from './key.ts';`,
  'src/core/key.ts': '',
  'src/providers/embedded/a.ts': `import { x } from '../../core/key.ts';\nimport { y } from '../local/a.ts';\nimport { z } from './b.ts';`,
  'src/providers/open-provider.ts': `import { x } from './memory/a.ts';\nimport { y } from './embedded/a.ts';`,
  'src/client/index.ts': `import type { x } from '../core/item.ts';\nimport { y } from '../core/key.ts';\nimport { z } from 'eventsource-parser';`,
  'src/client/node.ts': `import { once } from 'node:events';\nexport * from './index.ts';`,
  'src/server/a.ts': `import { x } from '../core/item.ts';\nimport express from 'express';`,
  'src/cli/b.ts': `import { x } from '../client/node.ts';`,
};

function readSources(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name));
  return new Map(files.map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name), 'utf8')]));
}

/** The files in which the project's own lint rules find an import they forbid. */
function lintForImports(sources: Readonly<Record<string, string>>): ReadonlySet<string> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-boundaries-'));
  try {
    for (const name of ['.oxlintrc.json', 'tsconfig.json']) cpSync(name, join(folder, name));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    for (const [file, source] of Object.entries(sources)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
    }
    const { stdout } = spawnSync(resolve('node_modules/.bin/oxlint'), ['--format=json', 'src'], { cwd: folder, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: readonly { readonly code: string; readonly filename: string }[] };
    return new Set(diagnostics.filter(({ code }) => code.includes('no-restricted-imports')).map(({ filename }) => filename));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the layers of src', () => {
  it('import only what the design allows', () => {
    const sources = readSources('src');
    expect(sources.size).toBeGreaterThan(10);
    expect(findBoundaryViolations(sources)).toEqual([]);
  });

  it.each(MADE_UP_VIOLATIONS)('are not crossed: $says', ({ file, source, says }) => {
    expect(findBoundaryViolations(new Map([...Object.entries(ALLOWED), [file, source]]))).toContain(says);
  });

  it('may be used as they are drawn', () => {
    expect(findBoundaryViolations(new Map(Object.entries(ALLOWED)))).toEqual([]);
  });

  it('are known to the linter too, in so far as one statement shows it', () => {
    const crossing = Object.fromEntries(MADE_UP_VIOLATIONS.map(({ file, source }) => [file, source]));
    const linted = MADE_UP_VIOLATIONS.filter((violation) => violation.linted).map(({ file }) => file);
    expect([...lintForImports({ ...ALLOWED, ...crossing })].toSorted()).toEqual(linted.toSorted());
  });
});
