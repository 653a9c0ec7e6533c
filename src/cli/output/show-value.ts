import { inferContentType, TEXT_TYPE } from '../../core/content.ts';
import { formatJson } from '../formats/json.ts';
import type { Tree } from '../formats/tree.ts';
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|^\s|\s$/;

/**
 * A value on one line for people, at most `maxLength` characters. A string stands bare unless that could mislead: one that reads as JSON (`"20"`), is empty,
 * has spaces at an end or characters a terminal would obey is quoted as JSON quotes it.
 */
export function showValue(tree: Tree, maxLength = 100): string {
  const isBare = typeof tree === 'string' && tree !== '' && !UNSAFE.test(tree) && inferContentType(tree) === TEXT_TYPE;
  return shorten(isBare ? tree : escapeControls(formatJson(tree)), maxLength);
}

/** A key on one line for people; keys have no control characters, but a line separator would break the line. */
export function escapeControls(text: string): string {
  // JSON leaves DEL, C1 and the two separators as they are.
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function shorten(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const rest = ` … (${text.length.toLocaleString('en')} characters)`;
  // Never half a surrogate pair.
  return text.slice(0, Math.max(maxLength - rest.length, 1)).replace(/[\ud800-\udbff]$/, '') + rest;
}
