import { AttuneError } from '../../core/errors.ts';
import { flatTextOf, treeOfValue, type ConfigValue } from '../config-value.ts';
import type { Codec } from '../formats/codec.ts';
import { isCanonical, unflatten } from '../keys/flatten.ts';
import { isNameExact, nameOfKey } from '../keys/flat-name.ts';
import type { StoredItem } from '../snapshot.ts';

export interface RenderOptions {
  /** Cut off the keys. */
  readonly prefix: string;
  /** One member a key, names as the keys are. */
  readonly flat: boolean;
  readonly separator?: string | undefined;
}

export interface Rendered {
  readonly text: string;
  /** For people: what import would not bring back. */
  readonly notes: readonly string[];
}

/**
 * The items as a file of the codec's format, the inverse of import.
 * @throws {AttuneError} INVALID_ARGUMENT or INVALID_BODY, naming a key, where the format cannot show what is stored.
 */
export function renderExport(items: ReadonlyMap<string, StoredItem>, codec: Codec, options: RenderOptions): Rendered {
  const values = new Map([...items].map(([key, { value }]) => [key.slice(options.prefix.length), value]));
  const bytes = [...items].filter(([, { isBytes }]) => isBytes).map(([key]) => key);
  const notes = note(bytes, 'bytes that are not text are written in base64');
  if (codec.kind === 'flat') return renderFlat(values, codec, options, notes);
  const trees = new Map([...values].map(([key, value]) => [key, treeOfValue(value)]));
  if (options.flat) return { text: codec.format(trees), notes };
  const inexact = [...values.keys()].filter((key) => !isCanonical(key));
  return {
    text: codec.format(unflatten(trees)),
    notes: [...notes, ...note(inexact, INEXACT)],
  };
}

function renderFlat(
  values: ReadonlyMap<string, ConfigValue>,
  codec: Codec & { readonly kind: 'flat' },
  options: RenderOptions,
  notes: readonly string[],
): Rendered {
  const separator = options.flat ? undefined : (options.separator ?? codec.separator);
  const entries = new Map<string, string>();
  const keyOf = new Map<string, string>();
  const inexact: string[] = [];
  for (const [key, value] of values) {
    const name = separator === undefined ? key : nameOfKey(key, separator);
    const twin = keyOf.get(name);
    if (twin !== undefined) {
      throw new AttuneError(
        'INVALID_ARGUMENT',
        `'${twin}' and '${key}' would both be called '${name}'; give another --separator, or --flat`,
      );
    }
    keyOf.set(name, key);
    entries.set(name, flatTextOf(value));
    if (separator !== undefined && !isNameExact(key, separator)) inexact.push(key);
  }
  return {
    text: codec.format(entries),
    notes: [...notes, ...note(inexact, INEXACT)],
  };
}

const INEXACT = 'import would make other keys of these (--flat keeps them exactly)';

function note(keys: readonly string[], what: string): readonly string[] {
  if (keys.length === 0) return [];
  const shown = keys.slice(0, 3).map((key) => `'${key}'`);
  const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '';
  return [`${what}: ${shown.join(', ')}${more}`];
}
