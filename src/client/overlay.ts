import type { JsonValue } from '../core/item.ts';
import { sameJson } from './json-value.ts';
import type { Replica, SeenChange } from './replica.ts';

/** Values of an operator that win over what the servers say. What they cover goes on underneath, unheard. */
export class Overlay {
  readonly #replica: Replica;
  #values: ReadonlyMap<string, JsonValue> = new Map();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Undefined for a key that has no value; null is one. */
  get(key: string): JsonValue | undefined {
    const value = this.#values.get(key);
    return value === undefined ? this.#replica.get(key)?.value : value;
  }

  /** Keys that have a value, in no order. */
  keys(): ReadonlySet<string> {
    return new Set([...this.#replica.keys(), ...this.#values.keys()]);
  }

  /** Of changes of the replica, those that show. */
  visible(changes: readonly SeenChange[]): readonly SeenChange[] {
    return this.#values.size === 0 ? changes : changes.filter(({ key }) => !this.#values.has(key));
  }

  /** Takes over `values` as a whole; what shows of it. */
  replace(values: ReadonlyMap<string, JsonValue>): readonly SeenChange[] {
    const before = this.#values;
    const keys = [...new Set([...before.keys(), ...values.keys()])];
    const old = new Map(keys.map((key) => [key, this.get(key)]));
    this.#values = values;
    return keys.flatMap((key): SeenChange[] => {
      const [oldValue, newValue] = [old.get(key), this.get(key)];
      if (oldValue === newValue || (oldValue !== undefined && newValue !== undefined && sameJson(oldValue, newValue))) return [];
      const known = this.#replica.get(key);
      return [
        {
          type: newValue === undefined ? 'deleted' : oldValue === undefined ? 'created' : 'updated',
          key,
          oldValue: oldValue ?? null,
          newValue: newValue ?? null,
          version: this.#replica.versionOf(key),
          timestamp: null,
          metadata: known?.metadata ?? {},
          contentType: known?.contentType ?? 'application/json',
        },
      ];
    });
  }
}
