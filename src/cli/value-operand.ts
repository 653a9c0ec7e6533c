import { readFile } from 'node:fs/promises';
import { AttuneError } from '../core/errors.ts';
import { LocalError } from './exit-code.ts';
import type { Invocation } from './invocation.ts';

/**
 * The text that an operand means: `-` is all of stdin, `@file` a file's content, both to the last byte; `@@x` is `@x`; all else is itself.
 * @throws {LocalError} a file that cannot be read. @throws {AttuneError} INVALID_BODY: bytes that are not UTF-8.
 */
export async function readOperand(operand: string, { terminal, signal }: Pick<Invocation, 'terminal' | 'signal'>): Promise<string> {
  if (operand === '-') return decodeText(await terminal.readInput(signal), 'stdin');
  if (operand.startsWith('@@')) return operand.slice(1);
  if (!operand.startsWith('@')) return operand;
  const path = operand.slice(1);
  return decodeText(await readFileOf(path, ` (a value that begins with @ is written @@${path.slice(0, 20)})`), path);
}

/** The bytes of a file. @throws {LocalError} it cannot be read. */
export async function readFileOf(path: string, hint = ''): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new LocalError(
      `cannot read ${path}: ${code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message}${hint}`,
    );
  }
}

/** The text in UTF-8 bytes, without a byte order mark. @throws {AttuneError} INVALID_BODY */
export function decodeText(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new AttuneError('INVALID_BODY', `${source} is not text in UTF-8; other bytes cannot be stored here (encode them, as base64 say)`);
  }
}
