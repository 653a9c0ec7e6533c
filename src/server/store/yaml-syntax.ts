import { createRequire } from 'node:module';
import type { CST, Document } from 'yaml';

let yaml: typeof import('yaml') | undefined;

/** Loads the package, seventy files that no start has to wait for; else the first YAML does. Idempotent. */
export function loadYaml(): typeof import('yaml') {
  yaml ??= createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return yaml;
}

/** Nesting allowed in YAML, as in JSON. */
const MAX_YAML_DEPTH = 200;

export interface YamlProblem {
  readonly detail: string;
  readonly line: number;
  readonly column: number;
}

/**
 * The first thing that keeps `text` from being YAML: syntax, a name twice in one mapping, nesting beyond {@link MAX_YAML_DEPTH}; undefined if there
 * is none. Several documents, tags and aliases are taken; nothing is resolved.
 */
export function findYamlProblem(text: string): YamlProblem | undefined {
  const { Composer, LineCounter, Parser } = loadYaml();
  const lines = new LineCounter();
  const at = (offset: number, detail: string): YamlProblem => {
    const { line, col } = lines.linePos(offset);
    return { detail, line, column: col };
  };
  // The parser keeps a stack of its own, the composer is recursive: a stack overflow inside of it can end the process (V8 gives up on
  // a regular expression that it cannot compile for lack of stack).
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  const tooDeep = findTooDeep(tokens);
  if (tooDeep !== undefined) return at(tooDeep, `nested deeper than ${MAX_YAML_DEPTH} levels`);
  // The composer's own search for names that stand twice compares each with each.
  for (const document of new Composer({ resolveKnownTags: false, uniqueKeys: false }).compose(tokens)) {
    const error = document.errors[0];
    if (error) return at(error.pos[0], error.message);
    const doubled = findDoubledName(document);
    if (doubled !== undefined) return at(doubled, 'Map keys must be unique');
  }
  return undefined;
}

/** Where a token stands that is nested too deep. */
function findTooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { token, depth } = next;
    if ('value' in token && token.value) open.push({ token: token.value, depth });
    if (!('items' in token)) continue;
    if (depth >= MAX_YAML_DEPTH) return token.offset;
    for (const { key, value } of token.items) {
      if (key) open.push({ token: key, depth: depth + 1 });
      if (value) open.push({ token: value, depth: depth + 1 });
    }
  }
  return undefined;
}

/** Where a name stands for the second time in its mapping. */
function findDoubledName(document: Document.Parsed): number | undefined {
  const { isScalar, visit } = loadYaml();
  let found: number | undefined;
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) {
          found = key.range?.[0] ?? 0;
          return visit.BREAK;
        }
        seen.add(key.value);
      }
      return undefined;
    },
  });
  return found;
}
