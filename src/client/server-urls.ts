import { InvalidArgumentError } from '../core/errors.ts';
import { quoteForMessage } from '../core/key.ts';

/** The servers to ask, as given, without a trailing slash. Never empty. */
export type ServerUrls = readonly [string, ...string[]];

/**
 * Checks the servers' base URLs; a path is kept (`https://host/attune` for a server behind a proxy).
 * @throws {InvalidArgumentError} none given, not http(s), or with credentials, query or fragment.
 */
export function parseServerUrls(url: string | readonly string[]): ServerUrls {
  const [first, ...rest] = (typeof url === 'string' ? [url] : url).map(parseServerUrl);
  if (first === undefined) throw new InvalidArgumentError('url is an empty list; give at least one server, such as http://127.0.0.1:8080');
  return [first, ...rest];
}

function parseServerUrl(text: string): string {
  // No message may repeat a password.
  const shown = quoteForMessage(text.replace(/^(\w*:\/*)?.*@/s, '$1…@'));
  if (!URL.canParse(text)) throw new InvalidArgumentError(`url ${shown} is not a URL; write it as http://host:8080`);
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new InvalidArgumentError(`url ${shown} is not http or https; write it as http://host:8080`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError(`url for ${url.host} holds a user name or password; give credentials as 'token' instead`);
  }
  if (url.search !== '' || url.hash !== '') throw new InvalidArgumentError(`url ${shown} has a query or fragment; leave it out`);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
