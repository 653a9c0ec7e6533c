import type { JsonValue } from '../core/item.ts';
import type { SeenChange } from './replica.ts';

/** The part of the Standard Schema specification (standardschema.dev, version 1) that is used; zod, valibot and arktype implement it. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A schema for each key. The client's world is then these keys: `get` takes no other, watchers hear of no other. */
export type ConfigSchema = Readonly<Record<string, StandardSchema>>;

type TypesOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>;

/** What `get` answers: undefined only where the schema says so, or has neither a default nor `optional` for an absent key. */
type Reading<S extends StandardSchema> = undefined extends TypesOf<S>['input'] ? TypesOf<S>['output'] : TypesOf<S>['output'] | undefined;

/** The keys a client takes; any text where no schema was given. */
export type KeyOf<S extends ConfigSchema | undefined> = S extends ConfigSchema ? keyof S & string : string;

/** What `get` answers for a key. */
export type ValueOf<S extends ConfigSchema | undefined, K extends string> = S extends ConfigSchema
  ? K extends keyof S
    ? Reading<S[K]>
    : never
  : JsonValue | undefined;

/** What `set` takes: what the schema accepts, as JSON. */
export type InputOf<S extends ConfigSchema | undefined, K extends string> = S extends ConfigSchema
  ? K extends keyof S
    ? Exclude<TypesOf<S[K]>['input'], undefined>
    : never
  : JsonValue;

/** One change of one key, narrowed by `type`. Values are as `get` answers them; null stands for absent. */
export type ChangeOf<K extends string, V> = Omit<SeenChange, 'type' | 'key' | 'oldValue' | 'newValue'> & {
  readonly key: K;
  /** True if versions before this one may be missing: the server could not see them, or the reader of `changes()` was far behind. */
  readonly gap?: true;
} & (
    | { readonly type: 'created'; readonly oldValue: null; readonly newValue: V }
    | { readonly type: 'updated'; readonly oldValue: V; readonly newValue: V }
    | { readonly type: 'deleted'; readonly oldValue: V; readonly newValue: null }
  );

/** A change of any of the client's keys, narrowed by `key` and by `type`. */
export type ConfigChange<S extends ConfigSchema | undefined = undefined, K extends KeyOf<S> = KeyOf<S>> = S extends ConfigSchema
  ? { readonly [P in K]: ChangeOf<P, Exclude<ValueOf<S, P>, undefined>> }[K]
  : ChangeOf<K, JsonValue>;
