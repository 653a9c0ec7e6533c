import { utf8Length } from './byte-order.ts';
import { AttuneError } from './errors.ts';

/** A key of the grammar: 1 to 512 bytes of UTF-8, segments joined by `/`. Made by {@link parseKey} only. */
export type ConfigKey = string & { readonly __brand: 'ConfigKey' };

export const MAX_KEY_BYTES = 512;

/** The segment that holds Attune's own records; no segment of a user's key equals it or ends in it, at any depth. */
const RESERVED_SEGMENT = '.attune';

// C0, DEL, C1: they break terminals, headers and event streams. oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
// The usual key in one test; all others take the explaining path.
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Why `text` is not a key, in words; undefined if it is one. Not normalised: two spellings of "é" are two keys. */
export function keyProblem(text: string): string | undefined {
  if (text.length <= MAX_KEY_BYTES && PLAIN.test(text) && !text.includes(RESERVED_SEGMENT)) return undefined;
  if (text === '') return 'a key has at least one character';
  if (CONTROL.test(text)) return 'a key has no control characters';
  if (LONE_SURROGATE.test(text)) return 'a key is valid Unicode (it holds half a surrogate pair)';
  const bytes = utf8Length(text);
  if (bytes > MAX_KEY_BYTES) return `a key is at most ${MAX_KEY_BYTES} bytes of UTF-8, this one is ${bytes}`;
  for (const segment of text.split('/')) {
    if (segment === '') return 'a key has no empty segment: no leading, trailing or doubled "/"';
    if (segment === '.' || segment === '..') return `a key has no "${segment}" segment`;
    if (segment.endsWith(RESERVED_SEGMENT)) return `a segment equal to "${RESERVED_SEGMENT}" or ending in it is reserved`;
  }
  return undefined;
}

/**
 * Parses a key.
 * @throws {AttuneError} INVALID_KEY, saying which rule is broken.
 */
export function parseKey(text: string): ConfigKey {
  const problem = keyProblem(text);
  if (problem !== undefined) throw new AttuneError('INVALID_KEY', `invalid key ${quoteForMessage(text)}: ${problem}`);
  return text as ConfigKey;
}

export function isKey(text: string): text is ConfigKey {
  return keyProblem(text) === undefined;
}

/** Why `text` cannot be a prefix; undefined if it can. A prefix need not end at a segment, so only what no key holds is refused. */
export function prefixProblem(text: string): string | undefined {
  if (CONTROL.test(text)) return 'a prefix has no control characters';
  if (LONE_SURROGATE.test(text)) return 'a prefix is valid Unicode (it holds half a surrogate pair)';
  if (utf8Length(text) > MAX_KEY_BYTES) return `a prefix is at most ${MAX_KEY_BYTES} bytes of UTF-8`;
  if (text.startsWith('/') || text.includes('//')) return 'no key has an empty segment, so a prefix has no leading or doubled "/"';
  return undefined;
}

/** A text from outside, safe and short enough to be shown in a message. */
export function quoteForMessage(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return `'${shown.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`;
}
