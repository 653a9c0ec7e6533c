import type { JsonValue, Metadata } from '../core/item.ts';

/** What a client keeps of an item. */
export interface KnownItem {
  readonly key: string;
  readonly version: number;
  readonly value: JsonValue;
  readonly contentType: string;
  readonly metadata: Metadata;
}

/** The last state a client knew, as it outlives the process. */
export interface LastKnown {
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  readonly revision: number;
  readonly items: readonly KnownItem[];
}

/** Keeps the last known state between runs: a file in Node, whatever an application has elsewhere. */
export interface LastKnownStore {
  /** What was saved last, for these prefixes; undefined if there is nothing that can be trusted. */
  load(prefixes: readonly string[]): Promise<LastKnown | undefined>;
  /** Called after every revision. Calls `state` when it comes to writing: how often is its own matter. Failures go to `onError`. */
  changed(prefixes: readonly string[], state: () => LastKnown): void;
  /** Writes what still waits and lets go of everything. */
  close(): Promise<void>;
}

/** Values that win over what the servers say, as long as they are there. */
export interface OverrideSource {
  /** Tells the values at once, before it resolves, and again whenever they change, as a whole. */
  open(onValues: (values: ReadonlyMap<string, JsonValue>) => void): Promise<void>;
  close(): Promise<void>;
}
