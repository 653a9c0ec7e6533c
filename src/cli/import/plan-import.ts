import { AttuneError } from '../../core/errors.ts';
import type { StoredItem } from '../snapshot.ts';
import { checkWanted, maxValueBytesOf } from './check.ts';
import { findContradictions, planChanges, type Plan } from './plan.ts';
import type { ImportSource } from './source.ts';

/**
 * The changes that make `stored` hold what `source` says.
 * @throws {AttuneError} what the server would refuse; INVALID_ARGUMENT where a key would become a value and a folder at once, which a nested file cannot show.
 */
export function planImport(
  source: ImportSource,
  stored: ReadonlyMap<string, StoredItem>,
  status: Readonly<Record<string, unknown>>,
  prune: boolean,
): Plan {
  const wanted = source.wanted(stored);
  checkWanted(wanted, maxValueBytesOf(status));
  const contradictions = source.isNested && !prune ? findContradictions(wanted, stored) : [];
  const [first] = contradictions;
  if (first) {
    const [key, other] = first;
    const more = contradictions.length > 1 ? ` (and ${contradictions.length - 1} more such)` : '';
    throw new AttuneError(
      'INVALID_ARGUMENT',
      `the file has '${key}', the server has '${other}'${more}: no nested file could show both; --prune deletes what the file does not have, --flat keeps both`,
    );
  }
  return planChanges(wanted, stored, { prune, isSame: source.isSame });
}
