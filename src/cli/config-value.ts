import { inferContentType, JSON_TYPE } from '../core/content.ts';
import { checkJson } from '../core/json-text.ts';
import { formatJson, parseJson } from './formats/json.ts';
import type { Tree } from './formats/tree.ts';

/** A value as it is stored: JSON in its spelling, or text. A string is text, as `attune set` would store it. */
export interface ConfigValue {
  readonly kind: 'json' | 'text';
  readonly text: string;
}

export function valueOfTree(tree: Tree): ConfigValue {
  return typeof tree === 'string' ? { kind: 'text', text: tree } : { kind: 'json', text: formatJson(tree) };
}

export function treeOfValue(value: ConfigValue): Tree {
  return value.kind === 'text' ? value.text : parseJson(value.text, 'value');
}

/**
 * What the text of a flat file (`.properties`, `.env`) is stored as: JSON if it reads as a number, boolean, null, array or object and is spelled as JSON spells
 * it, on one line; else text. Unlike elsewhere `"quoted"` stays text with its quotes, so that {@link flatTextOf} gives the very text back.
 */
export function valueOfFlatText(text: string): ConfigValue {
  const isJson =
    inferContentType(text) === JSON_TYPE && !text.startsWith('"') && text.trim() === text && !/[\r\n]/.test(text) && checkJson(text).ok;
  return { kind: isJson ? 'json' : 'text', text };
}

/** A value in a flat file: strings bare, all else as its JSON text. */
export function flatTextOf(value: ConfigValue): string {
  return value.kind === 'json' && value.text.startsWith('"') ? (JSON.parse(value.text) as string) : value.text;
}

/** Why a value would be refused by the server, in words; undefined if it would not, as far as can be told here. */
export function valueProblem(value: ConfigValue): string | undefined {
  if (value.kind === 'text') return /\p{Surrogate}/u.test(value.text) ? 'the text holds half a surrogate pair' : undefined;
  const check = checkJson(value.text);
  if (check.ok) return undefined;
  return check.problem.pointer === '' ? check.problem.detail : `${check.problem.detail} (at ${check.problem.pointer})`;
}
