/**
 * True if `/v1/kv/<key>` names this very key: Consul redirects empty and dot segments elsewhere and refuses what does not print (its own
 * notion of it, so that only ASCII is sure). Other keys are reached through `/v1/txn`.
 */
export function isPathSafe(key: string): boolean {
  if (!/^[\x20-\x7e]*$/.test(key) || key.startsWith('/')) return false;
  const segments = key.split('/');
  return segments.every((segment, index) => segment !== '.' && segment !== '..' && (segment !== '' || index === segments.length - 1));
}

/** The longest start of `prefix` that can be listed by path; what it lists beyond `prefix` is to be left out. */
export function listablePrefix(prefix: string): string {
  let end = prefix.length;
  while (!isPathSafe(prefix.slice(0, end))) end--;
  return prefix.slice(0, end);
}
