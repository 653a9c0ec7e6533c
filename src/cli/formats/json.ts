import { quoteForMessage } from '../../core/key.ts';
import { syntaxProblem } from './syntax-problem.ts';
import { isTreeArray, isTreeObject, MAX_TREE_DEPTH, NumberToken, type Tree, type TreeObject } from './tree.ts';

/**
 * The tree in a JSON text (RFC 8259); numbers keep their spelling. A name that stands twice in one object is refused: readers differ on which counts.
 * @throws {AttuneError} INVALID_BODY with source, line and column.
 */
export function parseJson(text: string, source: string): Tree {
  return new JsonReader(text, source).document();
}

/** JSON; indented by `indent` spaces, or on one line without spaces if 0. No line feed at the end. */
export function formatJson(tree: Tree, indent = 0): string {
  return render(tree, indent === 0 ? '' : ' '.repeat(indent), '');
}

function render(tree: Tree, indent: string, margin: string): string {
  if (tree instanceof NumberToken) return tree.token;
  const inner = margin + indent;
  const block = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close;
    return indent === '' ? open + parts.join(',') + close : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}`;
  };
  if (isTreeArray(tree))
    return block(
      '[',
      tree.map((element) => render(element, indent, inner)),
      ']',
    );
  if (!isTreeObject(tree)) return JSON.stringify(tree);
  const colon = indent === '' ? ':' : ': ';
  return block(
    '{',
    [...tree].map(([name, value]) => JSON.stringify(name) + colon + render(value, indent, inner)),
    '}',
  );
}

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /true|false|null/y;
const LITERALS: ReadonlyMap<string, Tree> = new Map<string, Tree>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** `JSON.parse` gives neither the spelling of numbers (before Node 22) nor a position in every message. */
class JsonReader {
  readonly #text: string;
  readonly #source: string;
  #at = 0;

  constructor(text: string, source: string) {
    this.#text = text;
    this.#source = source;
  }

  document(): Tree {
    const tree = this.#value(0);
    if (this.#at < this.#text.length) throw this.#problem('something follows the value');
    return tree;
  }

  #value(depth: number): Tree {
    if (depth > MAX_TREE_DEPTH) throw this.#problem(`nested deeper than ${MAX_TREE_DEPTH} levels`);
    this.#take(SPACE);
    const tree = this.#unspacedValue(depth);
    this.#take(SPACE);
    return tree;
  }

  #unspacedValue(depth: number): Tree {
    const first = this.#text.charAt(this.#at);
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    const number = this.#take(NUMBER);
    if (number !== undefined) return new NumberToken(number);
    const literal = LITERALS.get(this.#take(LITERAL) ?? '');
    if (literal !== undefined) return literal;
    throw this.#problem('a value is expected');
  }

  #object(depth: number): TreeObject {
    const members = new Map<string, Tree>();
    this.#at++;
    this.#take(SPACE);
    if (this.#skip('}')) return members;
    do {
      this.#take(SPACE);
      const start = this.#at;
      if (this.#text.charAt(start) !== '"') throw this.#problem('a member name in double quotes is expected');
      const name = this.#string();
      if (members.has(name)) throw this.#problem(`the name ${quoteForMessage(name)} stands twice in one object`, start);
      this.#take(SPACE);
      if (!this.#skip(':')) throw this.#problem('":" is expected');
      members.set(name, this.#value(depth + 1));
    } while (this.#skip(','));
    if (!this.#skip('}')) throw this.#problem('"," or "}" is expected');
    return members;
  }

  #array(depth: number): readonly Tree[] {
    const elements: Tree[] = [];
    this.#at++;
    this.#take(SPACE);
    if (this.#skip(']')) return elements;
    do elements.push(this.#value(depth + 1));
    while (this.#skip(','));
    if (!this.#skip(']')) throw this.#problem('"," or "]" is expected');
    return elements;
  }

  #string(): string {
    const token = this.#take(STRING);
    if (token === undefined) throw this.#problem('this string does not end, holds a control character or an unknown escape');
    return JSON.parse(token) as string;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const token = pattern.exec(this.#text)?.[0];
    if (token !== undefined) this.#at += token.length;
    return token;
  }

  #skip(character: string): boolean {
    if (this.#text.charAt(this.#at) !== character) return false;
    this.#at++;
    return true;
  }

  #problem(detail: string, at = this.#at): Error {
    const before = this.#text.slice(0, at).split('\n');
    const what = at >= this.#text.length ? `${detail}, but the text ends here` : detail;
    return syntaxProblem(this.#source, before.length, (before.at(-1)?.length ?? 0) + 1, what);
  }
}
