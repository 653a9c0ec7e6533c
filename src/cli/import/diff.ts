import { NumberToken, type Tree } from '../formats/tree.ts';
import { treeOfValue, type ConfigValue } from '../config-value.ts';
import { escapeControls, showValue } from '../output/show-value.ts';
import type { Terminal } from '../terminal.ts';
import type { Plan, PlannedChange } from './plan.ts';

const STYLE = { created: 'green', updated: 'yellow', deleted: 'red' } as const;

/** `+ key = new`, `~ key = old -> new`, `- key = old`: one line for people. */
export function diffLine(change: PlannedChange, paint: Terminal['paint'] = (_style, text) => text): string {
  return paint(STYLE[change.type], plainLine(change));
}

function plainLine(change: PlannedChange): string {
  const key = escapeControls(change.key);
  switch (change.type) {
    case 'created':
      return `+ ${key} = ${shown(change.value)}`;
    case 'updated':
      return `~ ${key} = ${shown(change.old.value)} -> ${shown(change.value)}${typeNote(change)}`;
    case 'deleted':
      return `- ${key} = ${shown(change.old.value)}`;
  }
}

const shown = (value: ConfigValue): string => showValue(treeOfValue(value));

/** Where the value alone would not show that anything changes. */
function typeNote(change: PlannedChange & { readonly type: 'updated' }): string {
  return change.contentType === change.old.contentType ? '' : ` (${change.old.contentType} -> ${change.contentType})`;
}

/** The plan for programs: `{"changes": [{type, key, oldValue, newValue, contentType}], "unchanged": n}`. */
export function planTree(plan: Plan): Tree {
  const changes = plan.changes.map(
    (change) =>
      new Map<string, Tree>([
        ['type', change.type],
        ['key', change.key],
        ['oldValue', change.type === 'created' ? null : treeOfValue(change.old.value)],
        ['newValue', change.type === 'deleted' ? null : treeOfValue(change.value)],
        ['contentType', change.type === 'deleted' ? change.old.contentType : change.contentType],
      ]),
  );
  return new Map<string, Tree>([
    ['changes', changes],
    ['unchanged', new NumberToken(String(plan.unchanged))],
  ]);
}

/** `2 created, 1 updated, 30 unchanged`. */
export function summaryOf(plan: Plan): string {
  const count = (type: PlannedChange['type']): number => plan.changes.filter((change) => change.type === type).length;
  const parts = (['created', 'updated', 'deleted'] as const).map((type) => [type, count(type)] as const);
  return [...parts, ['unchanged', plan.unchanged] as const]
    .filter(([, number]) => number > 0)
    .map(([what, number]) => `${number} ${what}`)
    .join(', ');
}
