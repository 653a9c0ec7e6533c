/**
 * A member name as one segment of a key, and back: `decodeSegment(encodeSegment(name))` is `name` for every name. Nearly all names stand as they are; what
 * the key grammar does not allow is escaped after JSON Pointer's manner (RFC 6901), because `%2F` would be undone by every URL on the way:
 *
 * | in the name | in the key |
 * | --- | --- |
 * | `/` | `~1` |
 * | a control character, half a surrogate pair | `~u` and four hex digits |
 * | nothing at all (the name "") | `~` |
 * | the names `.` and `..`, a name that ends in `.attune` | the (last) dot as `~u002e` |
 * | `~` where it would read as one of these | `~0`; elsewhere it stays, so `backup~` is `backup~` |
 */
export function encodeSegment(name: string): string {
  if (name === '') return '~';
  if (name === '~') return '~0';
  const escaped = name
    .replaceAll(/~(?=[01]|u[0-9a-f]{4})/g, '~0')
    .replaceAll('/', '~1')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/gu, escapeUnit);
  return escaped.replace(/^\.(?=\.?$)|\.(?=attune$)/, escapeUnit);
}

/** The name in a segment. Total: a `~` that begins none of the escapes stands for itself. */
export function decodeSegment(segment: string): string {
  if (segment === '~') return '';
  return segment.replaceAll(/~(?:([01])|u([0-9a-f]{4}))/g, (_escape, digit: string | undefined, hex: string | undefined) =>
    hex === undefined ? (digit === '0' ? '~' : '/') : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const escapeUnit = (character: string): string => `~u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
