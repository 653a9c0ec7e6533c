import { JSON_TYPE, TEXT_TYPE } from '../../core/content.ts';
import { isTreeArray, isTreeObject, NumberToken, type Tree } from '../formats/tree.ts';

/** What a value is, in one word: `number`, `object`, `text`, or its content type where that says more. */
export function typeLabel(tree: Tree, contentType: string): string {
  if (contentType === TEXT_TYPE) return 'text';
  if (contentType !== JSON_TYPE) return contentType;
  if (tree === null) return 'null';
  if (tree instanceof NumberToken) return 'number';
  if (isTreeArray(tree)) return 'array';
  return isTreeObject(tree) ? 'object' : typeof tree;
}
