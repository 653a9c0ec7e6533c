/**
 * What a JSON, YAML or TOML file says, without what a reader must not rely on: white space, comments, the order of members. Maps, because names
 * such as `__proto__` are ordinary here; numbers as they are spelled, because `9007199254740993` is not a double and `1.10` may be a version.
 */
export type Tree = string | boolean | null | NumberToken | readonly Tree[] | TreeObject;

export type TreeObject = ReadonlyMap<string, Tree>;

/** A number in JSON's grammar, as written. */
export class NumberToken {
  readonly token: string;

  constructor(token: string) {
    this.token = token;
  }
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

export const isJsonNumber = (text: string): boolean => JSON_NUMBER.test(text);

/** Nesting allowed in a file. A value may nest 200 deep (`MAX_JSON_DEPTH`), below folders, of which a key of 512 bytes names at most 256. */
export const MAX_TREE_DEPTH = 456;

export function isTreeObject(tree: Tree): tree is TreeObject {
  return tree instanceof Map;
}

export function isTreeArray(tree: Tree): tree is readonly Tree[] {
  return Array.isArray(tree);
}

/** For messages: `an object`, `a string`. */
export function kindOf(tree: Tree): string {
  if (tree === null) return 'null';
  if (typeof tree === 'string') return 'a string';
  if (typeof tree === 'boolean') return 'a boolean';
  if (tree instanceof NumberToken) return 'a number';
  return isTreeArray(tree) ? 'an array' : 'an object';
}
