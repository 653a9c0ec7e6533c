/** The keys of a load, and who watches which of them: everything follows from an index, so that every run is the same. */

export interface Filter {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
}

const SERVICES = 20;
const SETTINGS = 25;

const service = (index: number): string => `svc-${String(index % SERVICES).padStart(2, '0')}/`;

export const KEYS = Array.from(
  { length: SERVICES * SETTINGS },
  (_, index) => `${service(index)}setting-${String(Math.floor(index / SERVICES)).padStart(2, '0')}`,
);

export const keyAt = (index: number): string => KEYS[index % KEYS.length] ?? '';

/** Every fifth key is deleted now and then; the others only ever change. */
export const volatileKeyAt = (index: number): string => keyAt(index * 5);
export const steadyKeyAt = (index: number): string => keyAt(index % 5 === 0 ? index + 1 : index);

/** Of streams: exact keys, several keys, prefixes, prefixes of many services, overlapping unions, everything. */
export function streamFilterAt(index: number): Filter {
  const kind = index % 100;
  if (kind < 50) return { keys: [keyAt(index)], prefixes: [] };
  if (kind < 65) return { keys: [keyAt(index), keyAt(index * 7 + 1), keyAt(index * 13 + 2)], prefixes: [] };
  if (kind < 94) return { keys: [], prefixes: [service(index)] };
  if (kind < 95) return { keys: [], prefixes: [`svc-${index % 2}`] };
  if (kind < 98) return { keys: [keyAt(index), keyAt(index + 3)], prefixes: [service(index), keyAt(index).slice(0, -1)] };
  return { keys: [], prefixes: [] };
}

/** Of long-polls for many keys: several keys, a prefix, everything. */
export function pollFilterAt(index: number): Filter {
  const kind = index % 100;
  if (kind === 2 && index % 300 === 2) return { keys: [], prefixes: [] };
  if (kind < 15) return { keys: [], prefixes: [service(index)] };
  return { keys: [keyAt(index), keyAt(index + 111), keyAt(index + 222)], prefixes: [] };
}

export function isWanted({ keys, prefixes }: Filter, key: string): boolean {
  return (keys.length === 0 && prefixes.length === 0) || keys.includes(key) || prefixes.some((prefix) => key.startsWith(prefix));
}

export function queryOf({ keys, prefixes }: Filter): string {
  return [...keys.map((key) => `key=${key}`), ...prefixes.map((prefix) => `prefix=${prefix}`)].join('&');
}
