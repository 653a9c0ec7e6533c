import { createCipheriv, createDecipheriv, createHash, randomBytes, type KeyObject } from 'node:crypto';
import { ProtocolError } from '../../core/errors.ts';
import type { Metadata } from '../../core/item.ts';
import { quoteForMessage } from '../../core/key.ts';
import type { LastKnown } from '../durable.ts';
import { expectKind, expectMembers, parseJsonObject } from '../wire.ts';

/**
 * The text of a snapshot file. It is JSON, and stricter: it must be exactly as it was written, byte for byte, so that no damage goes unseen.
 *
 * ```text
 * {"attuneSnapshot":1,"sha256":"<of the payload>","payload":{"prefixes":[...],"savedAt":...,"revision":...,"items":[...]}}
 * {"attuneSnapshot":1,"cipher":"aes-256-gcm","nonce":"<12 bytes>","tag":"<16 bytes>","payload":"<base64>"}
 * ```
 */
const PLAIN_HEAD = /^\{"attuneSnapshot":1,"sha256":"([0-9a-f]{64})","payload":/;
const PLAIN_TAIL = '}\n';
const SEALED_HEAD = /^\{"attuneSnapshot":1,"cipher":"aes-256-gcm","nonce":"([\w+/]{16})","tag":"([\w+/]{22}==)","payload":"/;
const SEALED_TAIL = '"}\n';
const ANY_VERSION = /^\{"attuneSnapshot":(\d{1,9}),/;

const VERSION = '1';
const CIPHER = 'aes-256-gcm';
const PAYLOAD = { prefixes: 'a list', savedAt: 'a time', revision: 'a revision', items: 'a list' } as const;
const ITEM = { key: 'a string', value: 'a JSON value', version: 'a revision', contentType: 'a string', metadata: 'an object' } as const;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What is neither secret nor free to be changed. */
const SEALED_HEADER = `{"attuneSnapshot":${VERSION},"cipher":"${CIPHER}"`;

/** A snapshot with `key` is sealed: unreadable, and unchangeable, without it. */
export function formatSnapshot(prefixes: readonly string[], { savedAt, revision, items }: LastKnown, key: KeyObject | undefined): string {
  const payload = JSON.stringify({ prefixes, savedAt, revision, items });
  if (!key) return `{"attuneSnapshot":${VERSION},"sha256":"${sha256(payload)}","payload":${payload}}\n`;
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(SEALED_HEADER));
  const sealed = Buffer.concat([cipher.update(payload, 'utf8'), cipher.final()]).toString('base64');
  return `${SEALED_HEADER},"nonce":"${nonce.toString('base64')}","tag":"${cipher.getAuthTag().toString('base64')}","payload":"${sealed}"}\n`;
}

/** @throws {ProtocolError} anything but what {@link formatSnapshot} made of the same prefixes, with the same key. */
export function parseSnapshot(text: string, prefixes: readonly string[], key: KeyObject | undefined): LastKnown {
  const payload = expectMembers(parseJsonObject(payloadOf(text, key), 'its payload'), PAYLOAD, 'its payload');
  const saved = payload.prefixes.map((prefix) => expectKind(prefix, 'a string', 'a prefix'));
  if (!sameSet(saved, prefixes)) throw new ProtocolError(`it is of the prefix ${quoteAll(saved)}, this client's is ${quoteAll(prefixes)}`);
  const { savedAt, revision, items } = payload;
  return { savedAt, revision, items: items.map((item) => parseItem(item, prefixes)) };
}

function payloadOf(text: string, key: KeyObject | undefined): string {
  const version = ANY_VERSION.exec(text)?.[1];
  if (version === undefined) throw new ProtocolError('it is not a snapshot file');
  if (version !== VERSION) throw new ProtocolError(`it is of version ${version}, this SDK reads version ${VERSION}`);
  const sealed = cut(text, SEALED_HEAD, SEALED_TAIL);
  if (sealed) {
    if (!key) throw new ProtocolError('it is encrypted, and no encryptionKey is given');
    const [nonce = '', tag = ''] = sealed.head;
    return unseal(key, nonce, tag, sealed.body);
  }
  const plain = cut(text, PLAIN_HEAD, PLAIN_TAIL);
  if (!plain) throw new ProtocolError('it was cut off or changed');
  // Whoever can write the file could else have a state of his own believed.
  if (key) throw new ProtocolError('it is not encrypted, and an encryptionKey is given');
  if (sha256(plain.body) !== plain.head[0]) throw new ProtocolError('it was cut off or changed: its checksum does not match');
  return plain.body;
}

/** What stands between head and tail. By hand: a pattern for all of it would need more stack than there is for a large file. */
function cut(text: string, head: RegExp, tail: string): { readonly head: readonly string[]; readonly body: string } | undefined {
  const match = head.exec(text);
  if (!match || !text.endsWith(tail)) return undefined;
  return { head: match.slice(1), body: text.slice(match[0].length, -tail.length) };
}

function unseal(key: KeyObject, nonce: string, tag: string, sealed: string): string {
  try {
    const decipher = createDecipheriv(CIPHER, key, decodeBase64(nonce), { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(SEALED_HEADER))
      .setAuthTag(decodeBase64(tag));
    return Buffer.concat([decipher.update(decodeBase64(sealed)), decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new ProtocolError('it was encrypted with another key, or was changed', { cause });
  }
}

/** Buffer alone skips what is not base64, and stops at the first padding. */
function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new ProtocolError('not base64');
  return bytes;
}

function parseItem(item: unknown, prefixes: readonly string[]): LastKnown['items'][number] {
  const { key, value, version, contentType, metadata } = expectMembers(item, ITEM, 'its item');
  if (!prefixes.some((prefix) => key.startsWith(prefix)))
    throw new ProtocolError(`it holds ${quoteForMessage(key)}, which is of no prefix of its own`);
  return { key, version, value, contentType, metadata: metadata as Metadata };
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

const quoteAll = (prefixes: readonly string[]): string => prefixes.map(quoteForMessage).join(', ');

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [one, other] = [new Set(a), new Set(b)];
  return one.size === other.size && [...one].every((prefix) => other.has(prefix));
}
