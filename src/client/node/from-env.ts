import { InvalidArgumentError } from '../../core/errors.ts';
import { parseServerUrls, type ServerUrls } from '../server-urls.ts';
import { parseFilePath } from './file-path.ts';
import { tokenFromFile } from './token-file.ts';

/** Options of a client, to be completed: `{ ...fromEnv(), prefix: 'billing/' }`. */
export interface EnvironmentOptions {
  readonly url: ServerUrls;
  readonly token?: string | (() => Promise<string>);
  readonly snapshotFile?: string;
  readonly overridesFile?: string;
}

/**
 * Reads ATTUNE_URL (one server, or several with commas between), ATTUNE_TOKEN or ATTUNE_TOKEN_FILE (read anew for each request),
 * ATTUNE_SNAPSHOT_FILE, ATTUNE_OVERRIDES_FILE. An empty variable counts as not set.
 * @throws {InvalidArgumentError} ATTUNE_URL is not set, or one of them is wrong; the message names it, and never shows a token.
 */
// oxlint-disable-next-line node/no-process-env
export function fromEnv(env: Readonly<Record<string, string | undefined>> = process.env): EnvironmentOptions {
  const read = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const token = tokenOf(read('ATTUNE_TOKEN'), read('ATTUNE_TOKEN_FILE'));
  const snapshotFile = read('ATTUNE_SNAPSHOT_FILE');
  const overridesFile = read('ATTUNE_OVERRIDES_FILE');
  return {
    url: urlsOf(read('ATTUNE_URL')),
    ...(token !== undefined && { token }),
    ...(snapshotFile !== undefined && { snapshotFile: parseFilePath(snapshotFile, 'ATTUNE_SNAPSHOT_FILE') }),
    ...(overridesFile !== undefined && { overridesFile: parseFilePath(overridesFile, 'ATTUNE_OVERRIDES_FILE') }),
  };
}

function urlsOf(text: string | undefined): ServerUrls {
  if (text === undefined) throw new InvalidArgumentError('ATTUNE_URL is not set; set it to the server, such as http://127.0.0.1:8080');
  const urls = text.split(',').map((url) => url.trim());
  if (urls.includes(''))
    throw new InvalidArgumentError('ATTUNE_URL has a comma with no URL beside it; write it as http://a:8080,http://b:8080');
  // A scheme forgotten before a password must not have it shown.
  if (urls.some((url) => url.includes('@')))
    throw new InvalidArgumentError('ATTUNE_URL holds a user name or password; give credentials as ATTUNE_TOKEN instead');
  try {
    return parseServerUrls(urls);
  } catch (cause) {
    throw new InvalidArgumentError(`ATTUNE_URL: ${(cause as Error).message}`, { cause });
  }
}

function tokenOf(token: string | undefined, file: string | undefined): EnvironmentOptions['token'] {
  if (token !== undefined && file !== undefined)
    throw new InvalidArgumentError('ATTUNE_TOKEN and ATTUNE_TOKEN_FILE are both set; unset one of them');
  if (token !== undefined && !/^[\u0021-\u007e]+$/.test(token))
    throw new InvalidArgumentError('ATTUNE_TOKEN has a character no token has (a space or line feed at its end?)');
  return file === undefined ? token : tokenFromFile(parseFilePath(file, 'ATTUNE_TOKEN_FILE'), 'ATTUNE_TOKEN_FILE');
}
