import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * The text of an ordinary file of at most `maxBytes`, without a byte order mark.
 * @throws the operating system's error; an Error for what is no file (a folder, a pipe, a device), is too large or is not UTF-8.
 */
export async function readRegularFile(path: string, maxBytes: number): Promise<string> {
  // Else a pipe that nobody writes to would be waited for, forever.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('it is not an ordinary file');
    if (stats.size > maxBytes) throw new Error(`it has ${stats.size} bytes, at most ${maxBytes} are read`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile());
  } finally {
    await file.close();
  }
}
