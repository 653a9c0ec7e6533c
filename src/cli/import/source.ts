import { basename } from 'node:path';
import { keyProblem } from '../../core/key.ts';
import { valueOfFlatText, valueOfTree, type ConfigValue } from '../config-value.ts';
import { UsageError } from '../exit-code.ts';
import { contentTypeOf, formatOfName, FORMATS, loadCodec, type Format } from '../formats/codec.ts';
import { fileProblem } from '../formats/syntax-problem.ts';
import { isTreeObject, kindOf, type Tree, type TreeObject } from '../formats/tree.ts';
import { flatten } from '../keys/flatten.ts';
import { keyOfName } from '../keys/flat-name.ts';
import type { Scope, StoredItem } from '../snapshot.ts';
import { isSameFlatText, isSameValue, type PlanOptions, type Wanted } from './plan.ts';

/** A file to import, understood as far as it can be without knowing what is stored. */
export interface ImportSource {
  /** What it may change, and prune. */
  readonly scope: Scope;
  /** For people: what became something else on the way in. */
  readonly notes: readonly string[];
  readonly isSame: PlanOptions['isSame'];
  /** True if a key cannot be a value and have keys below it in this format. */
  readonly isNested: boolean;
  /** What each key shall hold; where an object is stored as one value, it stays one. */
  wanted(stored: ReadonlyMap<string, StoredItem>): ReadonlyMap<string, Wanted>;
}

export interface SourceOptions {
  readonly prefix?: string;
  readonly format?: Format;
  /** True: a key of the file's name under the prefix. */
  readonly asDocument?: string | true;
  readonly contentType?: string;
  readonly flat?: boolean;
  readonly separator?: string;
  readonly infer: boolean;
}

/**
 * Reads the text of `path` ("-": stdin) as the options say.
 * @throws {UsageError} options that lack something or contradict each other. @throws {AttuneError} INVALID_BODY where the text is not what it should be.
 */
export async function readSource(path: string, text: string, options: SourceOptions): Promise<ImportSource> {
  if (options.asDocument !== undefined) return documentSource(path, text, options.asDocument, options);
  if (options.prefix === undefined) throw new UsageError("where to? Give --prefix app/ (--prefix '' for the top), or --as-document KEY");
  if (options.separator === '') throw new UsageError('--separator has at least one character; --flat takes names as they are');
  if (options.contentType !== undefined)
    throw new UsageError('--content-type is for --as-document; the values of a file are JSON and text');
  const format = options.format ?? formatOfName(path);
  if (format === undefined)
    throw new UsageError(
      `the format of ${path === '-' ? 'stdin' : path} is not known; give --format ${FORMATS.join('|')}, or --as-document`,
    );
  const codec = await loadCodec(format);
  const source = path === '-' ? 'stdin' : path;
  if (codec.kind === 'flat') {
    if (options.flat && options.separator !== undefined)
      throw new UsageError(`--flat and --separator '${options.separator}' contradict each other; give one of them`);
    const { entries, notes } = codec.parse(text, source);
    return flatSource(entries, notes, options.prefix, options.flat ? undefined : (options.separator ?? codec.separator), options.infer);
  }
  if (options.separator !== undefined)
    throw new UsageError(`--separator is for .properties and .env files; in ${format} the file itself says what is below what`);
  if (!options.infer) throw new UsageError(`--text is for .properties and .env files; in ${format} the file itself says what is a string`);
  const { tree, notes } = codec.parse(text, source);
  if (!isTreeObject(tree))
    throw fileProblem(source, `holds ${kindOf(tree)}, which has no names to become keys; --as-document KEY stores it as one value`);
  return options.flat ? flatTreeSource(tree, notes, options.prefix) : nestedSource(tree, notes, options.prefix);
}

function nestedSource(object: TreeObject, notes: readonly string[], prefix: string): ImportSource {
  return {
    scope: { prefix },
    notes,
    isSame: isSameValue,
    isNested: true,
    wanted: (stored) => {
      const isWhole = (key: string): boolean =>
        stored.get(prefix + key)?.value.text.startsWith('{') === true && stored.get(prefix + key)?.value.kind === 'json';
      return underPrefix(prefix, flatten(object, isWhole), valueOfTree);
    },
  };
}

/** `--flat`: each member's name is the key itself, each member one value. */
function flatTreeSource(object: TreeObject, notes: readonly string[], prefix: string): ImportSource {
  const wanted = underPrefix(prefix, object, valueOfTree);
  return { scope: { prefix }, notes, isSame: isSameValue, isNested: false, wanted: () => wanted };
}

function flatSource(
  entries: ReadonlyMap<string, string>,
  notes: readonly string[],
  prefix: string,
  separator: string | undefined,
  infer: boolean,
): ImportSource {
  const keyed = new Map([...entries].map(([name, text]) => [separator === undefined ? name : keyOfName(name, separator), text]));
  const wanted = underPrefix(prefix, keyed, (text) => (infer ? valueOfFlatText(text) : { kind: 'text', text }));
  return { scope: { prefix }, notes, isSame: infer ? isSameFlatText : isSameValue, isNested: false, wanted: () => wanted };
}

async function documentSource(path: string, text: string, asDocument: string | true, options: SourceOptions): Promise<ImportSource> {
  if (options.flat || options.separator !== undefined || !options.infer)
    throw new UsageError('--as-document stores the file as it is: --flat, --separator and --text mean nothing with it');
  const key = documentKey(path, asDocument, options.prefix);
  const contentType = options.contentType ?? contentTypeOf(path, options.format);
  // What the server stores of JSON, so that an unchanged file is no change.
  const value: ConfigValue = contentType === 'application/json' ? { kind: 'json', text: text.trim() } : { kind: 'text', text };
  if (value.kind === 'json') (await import('../formats/json.ts')).parseJson(text, path === '-' ? 'stdin' : path);
  const wanted = new Map([[key, { value, contentType }]]);
  const isSame = (a: ConfigValue, b: ConfigValue): boolean => a.text === b.text || (a.kind === 'json' && isSameValue(a, b));
  return { scope: { key }, notes: [], isSame, isNested: false, wanted: () => wanted };
}

function documentKey(path: string, asDocument: string | true, prefix: string | undefined): string {
  if (asDocument === true) {
    if (path === '-') throw new UsageError('stdin has no name to make a key of; give --as-document KEY');
    if (prefix === undefined) throw new UsageError(`where to? Give --as-document KEY, or --prefix app/ for app/${basename(path)}`);
    return prefix + basename(path);
  }
  if (prefix !== undefined) throw new UsageError(`--as-document ${asDocument} is the whole key; leave out --prefix '${prefix}'`);
  const problem = keyProblem(asDocument);
  if (problem !== undefined) throw new UsageError(`--as-document ${asDocument}: ${problem}`);
  return asDocument;
}

function underPrefix<T extends Tree | string>(
  prefix: string,
  keyed: ReadonlyMap<string, T>,
  valueOf: (content: T) => ConfigValue,
): ReadonlyMap<string, Wanted> {
  return new Map([...keyed].map(([key, content]) => [prefix + key, { value: valueOf(content) }]));
}
