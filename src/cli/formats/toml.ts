import { parse, stringify, TomlDate, TomlError } from 'smol-toml';
import type { ParsedTree } from './codec.ts';
import { fileProblem, syntaxProblem } from './syntax-problem.ts';
import { isTreeArray, isTreeObject, MAX_TREE_DEPTH, NumberToken, type Tree, type TreeObject } from './tree.ts';

/**
 * The tree in a TOML 1.0 file. Integers keep all digits, floats stay floats (`1.0`). Dates and times, infinities and not-a-number become text, and are noted.
 * @throws {AttuneError} INVALID_BODY with line and column.
 */
export function parseToml(text: string, source: string): ParsedTree {
  const notes: string[] = [];
  return { tree: treeOf(readToml(text, source), source, notes, 0), notes };
}

/**
 * TOML 1.0, ending with a line feed unless empty. Floats are written as doubles, which is what TOML's are.
 * @throws {AttuneError} INVALID_BODY: a null, or an integer beyond 64 bits; TOML has neither.
 */
export function formatToml(tree: TreeObject): string {
  const text = stringify(plainOf(tree, []), { numbersAsFloat: true, maxDepth: MAX_TREE_DEPTH + 1 });
  return text.trim() === '' ? '' : `${text.trimEnd()}\n`;
}

function readToml(text: string, source: string): unknown {
  try {
    return parse(text, { integersAsBigInt: true, maxDepth: MAX_TREE_DEPTH });
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw fileProblem(source, (cause as Error).message);
    const message = (cause.message.split('\n', 1)[0] ?? '').replace(/^Invalid TOML document: /, '');
    throw syntaxProblem(source, cause.line, cause.column, message);
  }
}

function treeOf(value: unknown, source: string, notes: string[], depth: number): Tree {
  if (depth > MAX_TREE_DEPTH) throw fileProblem(source, `nested deeper than ${MAX_TREE_DEPTH} levels`);
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return new NumberToken(value.toString());
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return new NumberToken(floatToken(value));
    const text = Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
    notes.push(`${source}: ${text} is not a number of JSON and becomes text`);
    return text;
  }
  if (value instanceof TomlDate) {
    const text = value.toISOString();
    notes.push(`${source}: the date or time ${text} becomes text, which JSON has instead`);
    return text;
  }
  if (Array.isArray(value)) return value.map((element: unknown) => treeOf(element, source, notes, depth + 1));
  return new Map(Object.entries(value as object).map(([name, member]) => [name, treeOf(member, source, notes, depth + 1)]));
}

/** With a fraction or an exponent, so that it is read as a float again. */
function floatToken(value: number): string {
  const token = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(token) ? token : `${token}.0`;
}

const MAX_INTEGER = 2n ** 63n - 1n;

function plainOf(tree: Tree, path: readonly string[]): unknown {
  const at = (): string => (path.length === 0 ? 'the value' : `'${path.join('/')}'`);
  if (tree === null) throw fileProblem('toml', `${at()} is null, which TOML does not have; export as json or yaml`);
  if (tree instanceof NumberToken) {
    if (/[.eE]/.test(tree.token)) return Number(tree.token);
    const integer = BigInt(tree.token);
    if (integer > MAX_INTEGER || integer < -MAX_INTEGER - 1n) {
      throw fileProblem('toml', `${at()} is ${tree.token}, beyond the 64 bits of TOML's integers; export as json or yaml`);
    }
    return integer;
  }
  if (isTreeArray(tree)) return tree.map((element, index) => plainOf(element, [...path, String(index)]));
  if (!isTreeObject(tree)) return tree;
  // Own properties even for a member called __proto__, which an assignment would lose.
  const table = Object.create(null) as Record<string, unknown>;
  for (const [name, member] of tree) {
    Object.defineProperty(table, name, { value: plainOf(member, [...path, name]), enumerable: true });
  }
  return table;
}
