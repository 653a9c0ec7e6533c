import { AttuneError } from '../../core/errors.ts';
import { isTreeObject, type Tree, type TreeObject } from '../formats/tree.ts';
import { decodeSegment, encodeSegment } from './segment.ts';

/**
 * Keys below a prefix with what is stored at each. The rule: an object with members is a folder, everything else is a value. So arrays are one value
 * each (an element has no name that stays when another is inserted), and `{}` is a value too, or it would be lost.
 */
export type KeyedTrees = ReadonlyMap<string, Tree>;

/**
 * The members of `object` as keys, in the order of the file. `isWhole` may name keys at which an object is one value all the same, where it is already kept so.
 * `unflatten(flatten(x))` says what `x` says.
 */
export function flatten(object: TreeObject, isWhole: (key: string) => boolean = () => false): KeyedTrees {
  const keyed = new Map<string, Tree>();
  const walk = (members: TreeObject, folder: string): void => {
    for (const [name, tree] of members) {
      const key = folder + encodeSegment(name);
      if (isTreeObject(tree) && tree.size > 0 && !isWhole(key)) walk(tree, `${key}/`);
      else keyed.set(key, tree);
    }
  };
  walk(object, '');
  return keyed;
}

/**
 * The object that {@link flatten} gives these keys for.
 * @throws {AttuneError} INVALID_ARGUMENT: a key is a value and a folder at once, or two keys mean one name; nested formats have neither.
 */
export function unflatten(keyed: KeyedTrees): TreeObject {
  const root: Folder = new Map();
  const folders = new Map<string, Folder>([['', root]]);
  const clashes: string[] = [];
  for (const [key, tree] of keyed) {
    const slash = key.lastIndexOf('/');
    const folder = folderAt(key.slice(0, Math.max(slash, 0)), folders, clashes);
    const name = decodeSegment(key.slice(slash + 1));
    if (folder.has(name)) clashes.push(key);
    else folder.set(name, tree);
  }
  if (clashes.length > 0) throw clashProblem([...new Set(clashes)]);
  return root;
}

type Folder = Map<string, Tree>;

function folderAt(path: string, folders: Map<string, Folder>, clashes: string[]): Folder {
  const known = folders.get(path);
  if (known) return known;
  const slash = path.lastIndexOf('/');
  const parent = folderAt(path.slice(0, Math.max(slash, 0)), folders, clashes);
  const name = decodeSegment(path.slice(slash + 1));
  const folder: Folder = new Map();
  folders.set(path, folder);
  if (parent.has(name)) clashes.push(path);
  else parent.set(name, folder);
  return folder;
}

function clashProblem(keys: readonly string[]): AttuneError {
  const shown = keys.slice(0, 5).map((key) => `'${key}'`);
  const more = keys.length > shown.length ? ` and ${keys.length - shown.length} more` : '';
  return new AttuneError(
    'INVALID_ARGUMENT',
    `${shown.join(', ')}${more}: the same place holds a value and other keys below it, which a nested file cannot show; --flat writes one member a key`,
  );
}

/** True if import would write this key as it is: no escape in it that {@link encodeSegment} would not have written. */
export function isCanonical(key: string): boolean {
  return !key.includes('~') || key.split('/').every((segment) => encodeSegment(decodeSegment(segment)) === segment);
}
