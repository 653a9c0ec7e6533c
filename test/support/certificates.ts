import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/*
 * X.509 as little as a TLS handshake wants it, so that tests need no program that a bare machine does not have.
 */

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), body]);
};
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const bits = (bytes: Buffer): Buffer => der(0x03, Buffer.of(0), bytes);
const time = (year: number): Buffer => der(0x18, Buffer.from(`${year}0101000000Z`));
const named = (name: string): Buffer => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), der(0x01, Buffer.of(0xff)), der(0x04, value));

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const SERVER_AND_CLIENT = sequence(oid('2b06010505070301'), oid('2b06010505070302'));

function issue(subject: string, publicKey: KeyObject, issuer: string, issuerKey: KeyObject, isAuthority: boolean): string {
  const extensions = isAuthority
    ? [extension('551d13', sequence(der(0x01, Buffer.of(0xff))))]
    : // The address 127.0.0.1 and the name localhost.
      [
        sequence(oid('551d11'), der(0x04, sequence(der(0x87, Buffer.of(127, 0, 0, 1)), der(0x82, Buffer.from('localhost'))))),
        sequence(oid('551d25'), der(0x04, SERVER_AND_CLIENT)),
      ];
  const content = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    named(issuer),
    sequence(time(2020), time(2120)),
    named(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const whole = sequence(content, ECDSA_WITH_SHA256, bits(sign('sha256', content, issuerKey)));
  return `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

function keyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject; readonly key: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { publicKey: createPublicKey(createPrivateKey(key)), privateKey, key };
}

/** A private authority, and certificates of it for 127.0.0.1, good for servers and clients. */
export function createAuthority(name: string): { readonly ca: string; readonly issue: (subject: string) => Certificate } {
  const authority = keyPair();
  return {
    ca: issue(name, authority.publicKey, name, authority.privateKey, true),
    issue: (subject) => {
      const { publicKey, key } = keyPair();
      return { cert: issue(subject, publicKey, name, authority.privateKey, false), key };
    },
  };
}
