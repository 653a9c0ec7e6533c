import { createSecretKey, type KeyObject } from 'node:crypto';
import { InvalidArgumentError } from '../../core/errors.ts';

/** 32 bytes, or their base64 or hexadecimal text. */
export type EncryptionKey = Uint8Array | string;

const KEY_BYTES = 32;

/** A copy that shows itself in no log. @throws {InvalidArgumentError} not 32 bytes; the message does not show the key. */
export function parseEncryptionKey(key: EncryptionKey): KeyObject {
  const bytes = typeof key === 'string' ? decode(key.trim()) : key;
  if (!(bytes instanceof Uint8Array) || bytes.length !== KEY_BYTES) {
    const given = bytes instanceof Uint8Array ? `${bytes.length} bytes` : 'neither bytes nor base64 nor hexadecimal text';
    throw new InvalidArgumentError(`encryptionKey is ${given}; give ${KEY_BYTES} bytes, such as the output of: openssl rand -base64 32`);
  }
  return createSecretKey(bytes);
}

function decode(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  return /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
