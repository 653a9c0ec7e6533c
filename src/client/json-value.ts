import type { JsonValue } from '../core/item.ts';

/** True if both read alike: the order of members does not matter. */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (isList(a) || isList(b)) {
    return isList(a) && isList(b) && a.length === b.length && a.every((element, index) => sameJson(element, b[index] ?? null));
  }
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && sameJson(a[name] ?? null, b[name] ?? null))
  );
}

/** Why `value` would not arrive as it is given; undefined if it would. `JSON.stringify` alone turns NaN into null and drops functions. */
export function jsonProblem(value: unknown, path = 'the value'): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}, which JSON does not have`;
  if (typeof value !== 'object') return `${path} is ${value === undefined ? 'undefined' : `a ${typeof value}`}, which JSON does not have`;
  if (!Array.isArray(value) && !isPlain(value)) return `${path} is an instance of a class; give a plain object`;
  for (const [name, member] of Object.entries(value)) {
    // As in JSON.stringify: an optional member that is not there.
    if (member === undefined && !Array.isArray(value)) continue;
    const problem = jsonProblem(member, `${path}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const isList = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}
