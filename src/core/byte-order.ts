/**
 * Compares two strings by their UTF-8 bytes, the order of etcd, Consul and SQLite. JavaScript's own `<` compares UTF-16 units
 * and differs where a surrogate pair meets U+E000..U+FFFF.
 */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) {
      // A surrogate (part of a code point above U+FFFF) sorts after every other unit.
      const leftSurrogate = (left & 0xf800) === 0xd800;
      const rightSurrogate = (right & 0xf800) === 0xd800;
      return leftSurrogate === rightSurrogate ? left - right : leftSurrogate ? 1 : -1;
    }
  }
  return a.length - b.length;
}

/**
 * The least string above every string that starts with `prefix`, so that `[prefix, end)` is the prefix; undefined if there is
 * none (an empty prefix).
 */
export function prefixEnd(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = nextCodePoint(last.codePointAt(0) ?? 0);
    if (next !== undefined) return points.join('') + String.fromCodePoint(next);
  }
  return undefined;
}

function nextCodePoint(point: number): number | undefined {
  if (point === 0x10ffff) return undefined;
  return point === 0xd7ff ? 0xe000 : point + 1; // Surrogates are not code points of UTF-8.
}

/** The UTF-8 length of `text` in bytes, without encoding it. A lone surrogate counts as the three bytes of U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      bytes += 2; // Two units, four bytes.
      index++;
    } else bytes += 2;
  }
  return bytes;
}
