import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { InvalidArgumentError } from '../core/provider.ts';

/** PEM texts for one TLS client. Without `ca` the system's authorities count. */
export interface Certificates {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface CertificateFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/**
 * Reads PEM files and proves that they can be used together.
 * @throws {InvalidArgumentError} a file that cannot be read or holds no PEM, a key that does not fit its certificate, one without the other.
 */
export function readCertificates({ caFile, certFile, keyFile }: CertificateFiles): Certificates {
  if (certFile !== undefined && keyFile === undefined) throw missing('--store-cert-file', '--store-key-file');
  if (keyFile !== undefined && certFile === undefined) throw missing('--store-key-file', '--store-cert-file');
  const certificates: Certificates = {
    ...(caFile !== undefined && { ca: readPem('--store-ca-file', caFile) }),
    ...(certFile !== undefined && { cert: readPem('--store-cert-file', certFile) }),
    ...(keyFile !== undefined && { key: readPem('--store-key-file', keyFile) }),
  };
  try {
    createSecureContext(certificates);
  } catch (error) {
    const files = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(', ');
    throw new InvalidArgumentError(`the certificates cannot be used (${files}): ${reasonOf(error)}`, { cause: error });
  }
  return certificates;
}

function readPem(flag: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InvalidArgumentError(`${flag}: cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
  if (!text.includes('-----BEGIN '))
    throw new InvalidArgumentError(`${flag}: ${path} holds no PEM ("-----BEGIN ..."); convert it with openssl`);
  return text;
}

const missing = (given: string, absent: string): InvalidArgumentError =>
  new InvalidArgumentError(`${given} is given without ${absent}; a client certificate needs both`);

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
