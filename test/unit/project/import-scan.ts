import { posix } from 'node:path';

/** Paths from the repository's root, with `/`, to the text of the file. */
export type Sources = ReadonlyMap<string, string>;

interface Import {
  readonly specifier: string;
  /** Erased by the compiler: nothing of it exists at run time. */
  readonly typeOnly: boolean;
}

interface LayerRule {
  readonly files: RegExp;
  /** Path prefixes this layer may import from. `$1` is the rule's first group. */
  readonly imports: readonly string[];
  /** Packages it may import; absent: any. */
  readonly packages?: readonly string[];
  readonly node: boolean;
}

/** What may import what. The first rule that fits a file decides; a file no rule fits belongs nowhere. */
const LAYER_RULES: readonly LayerRule[] = [
  { files: /^src\/core\//, imports: ['src/core/'], packages: ['zod'], node: false },
  { files: /^src\/conformance\//, imports: ['src/core/', 'src/conformance/'], packages: [], node: true },
  { files: /^src\/providers\/open-provider\.ts$/, imports: ['src/core/', 'src/providers/'], packages: [], node: true },
  { files: /^src\/providers\/[^/]+\.ts$/, imports: ['src/core/'], packages: ['fastest-levenshtein'], node: true },
  { files: /^src\/providers\/([^/]+)\//, imports: ['src/core/', 'src/providers/local/', 'src/providers/$1/'], node: true },
  { files: /^src\/client\/node(\/.+)?\.ts$/, imports: ['src/core/', 'src/client/'], packages: ['eventsource-parser'], node: true },
  { files: /^src\/client\//, imports: ['src/core/', 'src/client/'], packages: ['eventsource-parser'], node: false },
  { files: /^src\/server\/main\.ts$/, imports: ['src/core/', 'src/providers/', 'src/server/'], node: true },
  { files: /^src\/server\//, imports: ['src/core/', 'src/server/'], node: true },
  { files: /^src\/cli\/serve\.ts$/, imports: ['src/core/', 'src/client/', 'src/cli/', 'src/server/'], node: true },
  { files: /^src\/cli\//, imports: ['src/core/', 'src/client/', 'src/cli/'], node: true },
];

const COMPOSITION_ROOT = 'src/server/main.ts';
const BROWSER_FILES = /^src\/client\/(?!node(\/.+)?\.ts$)/;

// Formatted sources only: a statement begins its line, a specifier is a quoted text.
const STATIC_IMPORT = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"\n]+)['"]/gm;
const DYNAMIC_IMPORT = /\b(?:import|require|createRequire\([^)]*\))\(\s*['"]([^'"\n]+)['"]/g;

function findImports(source: string): readonly Import[] {
  const imports = [...source.matchAll(STATIC_IMPORT)].map(([, type, specifier = '']) => ({ specifier, typeOnly: type !== undefined }));
  const dynamic = [...source.matchAll(DYNAMIC_IMPORT)].map(([, specifier = '']) => ({ specifier, typeOnly: false }));
  return [...imports, ...dynamic];
}

const isRelative = (specifier: string): boolean => specifier.startsWith('.');
const resolvePath = (from: string, specifier: string): string => posix.join(posix.dirname(from), specifier);
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

function findForbiddenImport(file: string, { specifier }: Import): string | undefined {
  const rule = LAYER_RULES.find(({ files }) => files.test(file));
  if (!rule) return `${file} belongs to no layer`;
  const own = rule.files.exec(file)?.[1] ?? '';
  if (isRelative(specifier)) {
    const target = resolvePath(file, specifier);
    const allowed = rule.imports.some((prefix) => target.startsWith(prefix.replace('$1', own)));
    return allowed ? undefined : `${file} imports ${target}`;
  }
  if (specifier.startsWith('node:')) return rule.node ? undefined : `${file} imports ${specifier}`;
  return (rule.packages?.includes(packageOf(specifier)) ?? true) ? undefined : `${file} imports the package ${packageOf(specifier)}`;
}

/** What a bundler would put into a browser with `entry`, and must not: packages but the event parser, and Node's own modules. */
function findUnbrowsable(sources: Sources, entry: string): readonly string[] {
  const found: string[] = [];
  const paths = new Map<string, string>([[entry, entry]]);
  for (const [file, path] of paths) {
    for (const { specifier, typeOnly } of findImports(sources.get(file) ?? '')) {
      if (typeOnly || specifier === 'eventsource-parser') continue;
      const target = isRelative(specifier) ? resolvePath(file, specifier) : specifier;
      const targetPath = `${path} -> ${target}`;
      if (!isRelative(specifier)) found.push(`in the browser: ${targetPath}`);
      else if (!paths.has(target)) paths.set(target, targetPath);
    }
  }
  return found;
}

/** The provider folders the composition root names itself, beside those `open-provider.ts` opens by URL. */
function findNamedProviders(sources: Sources): readonly string[] {
  const imports = findImports(sources.get(COMPOSITION_ROOT) ?? '');
  const folders = imports.map(({ specifier }) => /^src\/providers\/([^/]+)\//.exec(resolvePath(COMPOSITION_ROOT, specifier))?.[1]);
  return [...new Set(folders.filter((folder) => folder !== undefined))];
}

/** One sentence per arrow between layers that must not be there; none if the house stands as it is drawn. */
export function findBoundaryViolations(sources: Sources): readonly string[] {
  const violations = new Set<string>();
  for (const [file, source] of sources) {
    for (const found of findImports(source)) {
      const violation = findForbiddenImport(file, found);
      if (violation !== undefined) violations.add(violation);
    }
    if (BROWSER_FILES.test(file)) for (const violation of findUnbrowsable(sources, file)) violations.add(violation);
  }
  const named = findNamedProviders(sources);
  if (named.length > 1) violations.add(`${COMPOSITION_ROOT} names more than one provider: ${named.join(', ')}`);
  return [...violations];
}
