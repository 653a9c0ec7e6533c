import { connect, type Socket } from 'node:net';

const BUFFER_BYTES = 256 * 1_024;
/** One for all connections: what was read is dealt with before the next read. */
const buffer = Buffer.allocUnsafe(BUFFER_BYTES);

export interface SocketHandlers {
  /** The bytes are valid during the call only. */
  readonly onBytes: (bytes: Buffer) => void;
  /** The connection is gone, by whatever reason; or it could not be opened. */
  readonly onClose: () => void;
}

/** A bare connection to a server on loopback. Rejects if it cannot be opened. */
export async function openSocket(port: number, { onBytes, onClose }: SocketHandlers): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (length) => {
          onBytes(buffer.subarray(0, length));
          return true;
        },
      },
    });
    socket.once('error', reject);
    socket.once('connect', () => {
      // A reset is followed by `close`, which is what counts.
      socket.off('error', reject).on('error', () => undefined);
      resolve(socket);
    });
    socket.once('close', onClose);
  });
}

/** Calls `work` for 0 to `count` - 1, at most `width` at a time. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}
