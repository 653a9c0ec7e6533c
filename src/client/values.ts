import { AttuneError, InvalidArgumentError } from '../core/errors.ts';
import { quoteForMessage } from '../core/key.ts';
import type { SeenChange } from './replica.ts';
import type { ConfigSchema, SchemaIssue, SchemaResult, StandardSchema } from './schema.ts';

/** A change whose values went through the schema, if there is one. */
export type ReadChange = Omit<SeenChange, 'oldValue' | 'newValue'> & { readonly oldValue: unknown; readonly newValue: unknown };

/** What the schema makes of the copy: the values `get` answers and watchers hear of. */
export interface Values {
  /** The value of a key, its schema's default, or undefined. */
  get(key: string): unknown;
  /** What `get` answers for an absent key. */
  absent(key: string): unknown;
  /** Parses a value as it is stored, or as it shall be. @throws {AttuneError} SCHEMA_VIOLATION */
  parse(key: string, value: unknown): unknown;
  /**
   * Takes over what arrived and returns what watchers shall hear. A value that does not fit is reported, once, and the last good one stays.
   */
  accept(changes: readonly SeenChange[]): readonly ReadChange[];
  /** Those of the schema; undefined without one. */
  keys(): Iterable<string> | undefined;
  /** False for a key that is not in the schema. */
  has(key: string): boolean;
  /** Keys that have neither a value nor a default nor may be absent; undefined without a schema, where nothing says what is needed. */
  missing(): readonly string[] | undefined;
}

/** Without a schema the values are what is stored. */
export function createPlainValues(get: (key: string) => unknown): Values {
  return {
    get,
    absent: () => undefined,
    parse: (_key, value) => value,
    accept: (changes) => changes,
    keys: () => undefined,
    has: () => true,
    missing: () => undefined,
  };
}

/** @throws {InvalidArgumentError} a schema that validates asynchronously. */
export function createSchemaValues(schema: ConfigSchema, report: (error: unknown) => void): Values {
  const schemas = new Map(Object.entries(schema));
  const good = new Map<string, unknown>();
  // What the schema makes of an absent value: its default, or undefined where the key is optional.
  const absent = new Map<string, unknown>();
  for (const [key, one] of schemas) {
    const result = tryAbsent(key, one, report);
    if (result && result.issues === undefined) absent.set(key, result.value);
  }

  const parse = (key: string, value: unknown): unknown => {
    const one = schemas.get(key);
    if (!one) throw new InvalidArgumentError(`key ${quoteForMessage(key)} is not in the schema`);
    const result = validate(key, one, value);
    if (result.issues === undefined) return result.value;
    throw new AttuneError(
      'SCHEMA_VIOLATION',
      `the value of ${quoteForMessage(key)} does not fit the schema: ${describeIssues(result.issues)}`,
      {
        details: { key },
      },
    );
  };

  const accept = (change: SeenChange): ReadChange | undefined => {
    if (!schemas.has(change.key)) return undefined;
    const known = good.has(change.key);
    const oldValue = good.get(change.key) ?? null;
    if (change.type === 'deleted') return good.delete(change.key) ? { ...change, oldValue } : undefined;
    try {
      const newValue = parse(change.key, change.newValue);
      good.set(change.key, newValue);
      return { ...change, type: known ? 'updated' : 'created', oldValue, newValue };
    } catch (cause) {
      const kept = known ? 'the last good value stays' : absent.has(change.key) ? "the schema's default stays" : 'there is no value';
      report(
        new AttuneError('SCHEMA_VIOLATION', `${cause instanceof Error ? cause.message : String(cause)}; ${kept}`, {
          cause,
          details: { key: change.key, version: change.version },
        }),
      );
      return undefined;
    }
  };

  return {
    absent: (key) => absent.get(key),
    get: (key) => (good.has(key) ? good.get(key) : absent.get(key)),
    parse,
    accept: (changes) => changes.flatMap((change) => accept(change) ?? []),
    keys: () => schemas.keys(),
    has: (key) => schemas.has(key),
    missing: () => [...schemas.keys()].filter((key) => !good.has(key) && !absent.has(key)),
  };
}

/** What a schema makes of an absent value; undefined if it cannot say at once: then there is no default. */
function tryAbsent(key: string, schema: StandardSchema, report: (error: unknown) => void): SchemaResult<unknown> | undefined {
  try {
    const result = schema['~standard'].validate(undefined);
    if (!(result instanceof Promise)) return result;
    // Some tell so that they cannot read it; one that answers is too late for every value.
    result.then(
      () => report(asynchronous(key)),
      () => undefined,
    );
  } catch {
    // A transformation of something that is not there.
  }
  return undefined;
}

function validate(key: string, schema: StandardSchema, value: unknown) {
  const result = schema['~standard'].validate(value);
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  throw asynchronous(key);
}

function asynchronous(key: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `the schema of ${quoteForMessage(key)} validates asynchronously; values are read synchronously, so it cannot be used`,
  );
}

function describeIssues(issues: readonly SchemaIssue[]): string {
  const describe = ({ message, path }: SchemaIssue): string => {
    const at = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return at === '' ? message : `${at}: ${message}`;
  };
  return issues.slice(0, 3).map(describe).join('; ') + (issues.length > 3 ? `; and ${issues.length - 3} more` : '');
}
