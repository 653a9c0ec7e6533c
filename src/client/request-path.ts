import { parseKey } from '../core/key.ts';

/** `/api/v1/configs/...` for a key, each segment percent-encoded by itself. @throws {AttuneError} INVALID_KEY */
export function keyPath(key: string): string {
  // Parsed first: a ".." that reached the URL would name another resource.
  return `/api/v1/configs/${parseKey(key).split('/').map(encodeURIComponent).join('/')}`;
}

/** `true` is written as a bare flag; undefined, null and false are left out; a list is repeated. */
export type QueryValue = string | number | boolean | null | undefined | readonly string[];

/** `?a=1&flag&b=x&b=y`, or nothing. */
export function formatQuery(parameters: Readonly<Record<string, QueryValue>>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === null || value === false) continue;
    if (value === true) parts.push(name);
    else for (const one of typeof value === 'object' ? value : [value]) parts.push(`${name}=${encodeURIComponent(one)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}
