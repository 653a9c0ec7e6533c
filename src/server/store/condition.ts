import { AttuneError } from '../../core/errors.ts';
import type { Revision } from '../../core/revision.ts';

/** What a write asks of the item that is there. Every part given must hold. */
export interface WriteCondition {
  /** One of these entity tags (unquoted), or any item (`*`). */
  readonly ifMatch?: readonly string[] | '*' | undefined;
  /** No item at all. */
  readonly ifAbsent?: true | undefined;
  /** This version; 0 for no item. */
  readonly ifVersion?: Revision | undefined;
}

/** The item as a condition sees it. */
export interface ConditionSubject {
  readonly version: Revision;
  readonly etag: string;
  readonly updatedBy?: string | undefined;
}

/** The error that tells which part of `condition` does not hold; undefined if all do. */
export function unmetCondition(key: string, condition: WriteCondition, current: ConditionSubject | undefined): AttuneError | undefined {
  const { ifMatch, ifAbsent, ifVersion } = condition;
  const sent =
    ifVersion !== undefined && ifVersion !== (current?.version ?? 0)
      ? ifVersion === 0
        ? 'you asked for no such key'
        : `you sent ${ifVersion}`
      : ifAbsent && current
        ? 'you asked for no such key'
        : ifMatch !== undefined && !(current && (ifMatch === '*' || ifMatch.includes(current.etag)))
          ? ifMatch === '*'
            ? 'you asked for an existing key'
            : `you sent ${ifMatch.map((tag) => `"${tag}"`).join(', ')}`
          : undefined;
  if (sent === undefined) return undefined;
  const is = current ? `is at version ${current.version}` : 'does not exist';
  return new AttuneError('CONFLICT', `${key} ${is}, ${sent}`, {
    details: {
      current: current
        ? { version: current.version, etag: current.etag, ...(current.updatedBy !== undefined && { updatedBy: current.updatedBy }) }
        : null,
    },
  });
}
