import { formatJson } from '../formats/json.ts';
import type { Tree, TreeObject } from '../formats/tree.ts';
import { cell } from '../output/print-item.ts';
import { escapeControls, showValue } from '../output/show-value.ts';
import type { Terminal } from '../terminal.ts';
import type { WatchEvent } from './follow.ts';

/**
 * One JSON object a line: a change as the server sent it, `{"type":"item", ...}` for an item of the state, `{"type":"reset","reason":...}`.
 */
export function jsonLines(event: WatchEvent): string {
  switch (event.kind) {
    case 'change':
      return formatJson(event.change);
    case 'item':
      return formatJson(new Map<string, Tree>([['type', 'item'], ...event.item]));
    case 'reset':
      return formatJson(
        new Map<string, Tree>([
          ['type', 'reset'],
          ['reason', event.reason],
        ]),
      );
  }
}

const SIGN = { created: '+', updated: '~', deleted: '-' } as const;
const STYLE = { created: 'green', updated: 'yellow', deleted: 'red' } as const;

/** `12:34:56 ~ app/pool-size = 10 -> 20  version 42`: a line for people. */
export function plainLines(paint: Terminal['paint']): (event: WatchEvent) => string {
  return (event) => {
    switch (event.kind) {
      case 'change':
        return changeLine(event.change, paint);
      case 'item':
        return `         = ${keyOf(event.item)} = ${showValue(event.item.get('value') ?? null)}  ${paint('dim', versionOf(event.item))}`;
      case 'reset':
        return paint('magenta', `         ! changes may have been missed (${escapeControls(event.reason)}); the state now is:`);
    }
  };
}

function changeLine(change: TreeObject, paint: Terminal['paint']): string {
  const type = change.get('type');
  const known = type === 'created' || type === 'updated' || type === 'deleted' ? type : 'updated';
  const old = change.get('oldValue');
  const before = known === 'updated' && old !== undefined ? `${showValue(old, 60)} -> ` : '';
  const value = known === 'deleted' ? '' : ` = ${before}${showValue(change.get('newValue') ?? null, 60)}`;
  return `${timeOf(change)} ${paint(STYLE[known], `${SIGN[known]} ${keyOf(change)}`)}${value}  ${paint('dim', versionOf(change))}`;
}

const keyOf = (members: TreeObject): string => cell(members.get('key') ?? null);
const versionOf = (members: TreeObject): string => `version ${formatJson(members.get('version') ?? null)}`;

/** The local time of day; changes made by other tools carry none. */
function timeOf(change: TreeObject): string {
  const timestamp = change.get('timestamp');
  const time = typeof timestamp === 'string' ? new Date(timestamp) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? '--:--:--' : time.toTimeString().slice(0, 8);
}
