import { type Document, isScalar, parseAllDocuments, stringify, type ScalarTag, type Tags } from 'yaml';
import { quoteForMessage } from '../../core/key.ts';
import type { ParsedTree } from './codec.ts';
import { fileProblem, syntaxProblem } from './syntax-problem.ts';
import { isJsonNumber, isTreeArray, MAX_TREE_DEPTH, NumberToken, type Tree } from './tree.ts';

/**
 * The tree in one YAML document (1.2 core schema; 1.1 if a `%YAML 1.1` line says so). Anchors, aliases and merge keys (`<<`) are resolved. Names that
 * are not strings become their text: `8080:` is "8080". Infinities and not-a-number become text, and are noted.
 * @throws {AttuneError} INVALID_BODY: syntax, a name twice, an unknown tag, a collection as a name, more than one document.
 */
export function parseYaml(text: string, source: string): ParsedTree {
  const notes: string[] = [];
  const documents = parseAllDocuments(text, {
    merge: true,
    intAsBigInt: true,
    resolveKnownTags: false,
    prettyErrors: true,
    customTags: (tags) => tags.map((tag) => spellingKept(tag, source, notes)),
  });
  if ('empty' in documents) return { tree: null, notes };
  const [document, second] = documents;
  if (!document) return { tree: null, notes };
  if (second) throw fileProblem(source, `holds ${documents.length} YAML documents; split the file, one document each`);
  return { tree: treeOf(readDocument(document, source), source, []), notes };
}

/** Block style; strings that YAML 1.1 readers would take for something else are quoted. Ends with a line feed. */
export function formatYaml(tree: Tree): string {
  return stringify(tree, {
    customTags: (tags) => [NUMBER_TAG, ...tags],
    compat: 'yaml-1.1',
    lineWidth: 0,
    aliasDuplicateObjects: false,
  });
}

const NUMBER_TAG: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  identify: (value) => value instanceof NumberToken,
  // Formatting only: parsing builds its own tags.
  resolve: (text) => text,
  stringify: ({ value }) => (value as NumberToken).token,
};

function readDocument(document: Document, source: string): unknown {
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) {
    const message = problem.message.split(/ at line \d+|\n/, 1)[0] ?? problem.message;
    const hint = problem.code === 'TAG_RESOLVE_FAILED' ? '; --as-document stores the file as it is' : '';
    throw syntaxProblem(source, problem.linePos?.[0].line ?? 1, problem.linePos?.[0].col ?? 1, message + hint);
  }
  try {
    return document.toJS({ mapAsMap: true });
  } catch (cause) {
    throw fileProblem(source, (cause as Error).message);
  }
}

type Tag = Tags[number];

/** The same tag, its numbers as tokens: as written where JSON writes them so too. */
function spellingKept(tag: Tag, source: string, notes: string[]): Tag {
  if (typeof tag === 'string' || !/:(?:int|float)$/.test(tag.tag) || tag.collection !== undefined) return tag;
  const scalar: ScalarTag = tag;
  const resolve: ScalarTag['resolve'] = (text, onError, options) => {
    const resolved = scalar.resolve(text, onError, options);
    // A float with trailing zeros comes as a node, to keep their number.
    const value = isScalar(resolved) ? resolved.value : resolved;
    if (typeof value !== 'number' && typeof value !== 'bigint') return value;
    if (isJsonNumber(text) && Number(text) === Number(value)) return new NumberToken(text);
    const token = Object.is(value, -0) ? '-0.0' : String(value);
    if (isJsonNumber(token)) return new NumberToken(token);
    notes.push(`${source}: ${text} is not a number of JSON and becomes text`);
    return text;
  };
  return { ...scalar, resolve };
}

function treeOf(value: unknown, source: string, ancestors: readonly unknown[]): Tree {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || value instanceof NumberToken) return value;
  if (ancestors.includes(value)) throw fileProblem(source, 'an alias (*) refers to a collection that contains it');
  if (ancestors.length > MAX_TREE_DEPTH) throw fileProblem(source, `nested deeper than ${MAX_TREE_DEPTH} levels`);
  const path = [...ancestors, value];
  if (Array.isArray(value)) return value.map((element: unknown) => treeOf(element, source, path));
  if (!(value instanceof Map))
    throw fileProblem(source, `a value of type ${typeof value} is not supported; --as-document stores the file as it is`);
  const members = new Map<string, Tree>();
  for (const [key, member] of value as ReadonlyMap<unknown, unknown>) {
    const name = nameOf(treeOf(key, source, path), source);
    if (members.has(name)) throw fileProblem(source, `the name ${quoteForMessage(name)} stands twice in one mapping`);
    members.set(name, treeOf(member, source, path));
  }
  return members;
}

function nameOf(key: Tree, source: string): string {
  if (typeof key === 'string') return key;
  if (key instanceof NumberToken) return key.token;
  if (key === null || typeof key === 'boolean') return String(key);
  throw fileProblem(
    source,
    `${isTreeArray(key) ? 'a sequence' : 'a mapping'} as a name is not supported; --as-document stores the file as it is`,
  );
}
