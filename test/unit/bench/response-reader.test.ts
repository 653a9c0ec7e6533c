import { describe, expect, it } from 'vitest';
import { ResponseReader } from '../../../bench/support/load/response-reader.ts';

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED = 'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n';
const EMPTY = 'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n';
const NOTHING = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

describe('the reader of responses', () => {
  it('counts responses with a length, in chunks, and without a body', () => {
    const reader = new ResponseReader();
    expect(reader.read(Buffer.from(SIZED + CHUNKED + EMPTY + NOTHING))).toBe(4);
    expect(reader.status).toBe(200);
    expect(reader.read(Buffer.from(CHUNKED))).toBe(1);
    expect(reader.status).toBe(201);
  });

  it('finds the same ends however the bytes are cut, also where its caller uses the buffer again', () => {
    const text = SIZED + CHUNKED + EMPTY + NOTHING + SIZED;
    for (let size = 1; size < 40; size++) {
      const reader = new ResponseReader();
      const shared = Buffer.alloc(size);
      let ended = 0;
      for (let at = 0; at < text.length; at += size) {
        const length = shared.write(text.slice(at, at + size));
        ended += reader.read(shared.subarray(0, length));
        shared.fill('x');
      }
      expect(ended, `pieces of ${size}`).toBe(5);
    }
  });

  it('refuses what is no HTTP, or ends with its connection', () => {
    expect(() => new ResponseReader().read(Buffer.from('SSH-2.0-x\r\n\r\n'))).toThrow('no HTTP response');
    expect(() => new ResponseReader().read(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))).toThrow('without a length');
  });
});
