/**
 * A URL, right or wrong, safe to be shown: whatever may be a user, password or token is left out. A password with a slash that was not encoded
 * reaches into the path, so everything up to the last `@` counts; a query may hold a token.
 */
export function maskUrl(url: string): string {
  return url.replace(/^([^:/@]*(?::\/*|\/+))?.*@/s, '$1…@').replace(/[?#].*$/s, '?…');
}
