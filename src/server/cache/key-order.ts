import { compareBytes } from '../../core/byte-order.ts';

// Only from here on do UTF-16 and UTF-8 differ in order.
const BEYOND = /[\ud800-\uffff]/;

/**
 * The byte order of the keys of one tree, by the runtime's own comparison for as long as no key is beyond it: many times faster, and the
 * tree asks for every look-up. Whatever is looked up, keys below U+D800 are in the same order by both.
 */
export class KeyOrder {
  #isNative = true;

  /** Must be told of a key before it is put into the tree. */
  admit(key: string): void {
    if (this.#isNative && BEYOND.test(key)) this.#isNative = false;
  }

  readonly compare = (a: string, b: string): number => {
    if (!this.#isNative) return compareBytes(a, b);
    return a < b ? -1 : a > b ? 1 : 0;
  };
}
