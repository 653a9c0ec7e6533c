const HEAD_END = Buffer.from('\r\n\r\n');
const MAX_HEAD_BYTES = 64 * 1_024;
const NO_BODY: ReadonlySet<number> = new Set([204, 304]);

type Part = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'trailer';

/**
 * Finds the ends of HTTP/1.1 responses in a stream of bytes, with as little work as possible: bodies are skipped, not kept. Knows lengths, chunks, and
 * answers without a body; one that ends with its connection is an error.
 */
export class ResponseReader {
  /** Of the response that ended last, or is being read. */
  status = 0;
  head = '';
  #part: Part = 'head';
  #left = 0;
  /** A line or head that is not whole yet. */
  #held: Buffer | undefined;

  /** Reads on; returns how many responses ended in these bytes. @throws they are no HTTP. */
  read(piece: Buffer): number {
    const bytes = this.#held ? Buffer.concat([this.#held, piece]) : piece;
    this.#held = undefined;
    let ended = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#part === 'sized' || this.#part === 'chunk') {
        const taken = Math.min(this.#left, bytes.length - at);
        at += taken;
        this.#left -= taken;
        if (this.#left > 0) break;
        if (this.#part === 'sized') ended++;
        this.#part = this.#part === 'sized' ? 'head' : 'chunk-size';
        continue;
      }
      const end = this.#part === 'head' ? bytes.indexOf(HEAD_END, at) : bytes.indexOf('\r\n', at);
      if (end === -1) {
        if (bytes.length - at > MAX_HEAD_BYTES) throw new Error('a head without an end');
        // A copy: the bytes are the caller's.
        this.#held = Buffer.from(bytes.subarray(at));
        break;
      }
      const text = bytes.toString('latin1', at, end);
      at = end + (this.#part === 'head' ? 4 : 2);
      if (this.#part === 'head') {
        if (this.#beginBody(text)) ended++;
      } else if (this.#part === 'chunk-size') {
        const size = Number.parseInt(text, 16);
        if (Number.isNaN(size)) throw new Error(`'${text.slice(0, 40)}' is no size of a chunk`);
        this.#part = size === 0 ? 'trailer' : 'chunk';
        // With the line end that follows it.
        this.#left = size + 2;
      } else if (text === '') {
        this.#part = 'head';
        ended++;
      }
    }
    return ended;
  }

  /** True if the response has no body and so ends with its head. */
  #beginBody(head: string): boolean {
    const status = Number(head.slice(9, 12));
    if (!head.startsWith('HTTP/1.') || Number.isNaN(status)) throw new Error(`no HTTP response: ${head.slice(0, 80)}`);
    this.status = status;
    this.head = head;
    if (NO_BODY.has(status)) return true;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) {
      this.#part = 'sized';
      this.#left = Number(length);
      if (this.#left > 0) return false;
      this.#part = 'head';
      return true;
    }
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error(`a response without a length: ${head}`);
    this.#part = 'chunk-size';
    return false;
  }
}
