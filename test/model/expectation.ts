import type { UserWrite } from '../support/cluster.ts';
import { formatContent } from '../support/recorded-store.ts';
import type { TrueItem } from '../support/true-history.ts';

/** What one write does to a store nobody else touches: the model, in the plainest code there is. */
export interface Expectation {
  readonly status: number;
  /** What the key holds afterwards; undefined if it is absent. */
  readonly content: string | undefined;
  /** False if the store must not have moved. */
  readonly isCommitted: boolean;
}

type Content = readonly [value: unknown, contentType: string, metadata: readonly (readonly [string, string])[]];

/** `etag` is the entity tag of what is there. */
export function expectWrite(current: TrueItem | undefined, etag: string | undefined, write: UserWrite): Expectation {
  const stays = (status: number): Expectation => ({ status, content: current?.content, isCommitted: false });
  const isDeletion = !('value' in write);
  if (write.ifVersion !== undefined && write.ifVersion !== (current?.version ?? 0)) return stays(412);
  if (write.ifAbsent && current) return stays(412);
  if (write.ifMatch === '*' && !current) return stays(412);
  if (write.ifMatch !== undefined && write.ifMatch !== '*' && write.ifMatch !== etag) return stays(412);
  if (isDeletion) return current ? { status: 204, content: undefined, isCommitted: true } : stays(404);
  const [oldValue, oldType, oldMetadata] = current ? (JSON.parse(current.content) as Content) : [undefined, undefined, []];
  const keepsText = typeof write.value === 'string' && oldType?.startsWith('text/') === true;
  const contentType = write.contentType ?? (keepsText ? oldType : 'application/json');
  const metadata = write.metadata ?? Object.fromEntries(oldMetadata);
  const isSame =
    current !== undefined &&
    contentType === oldType &&
    formatContent(null, '', metadata) === formatContent(null, '', Object.fromEntries(oldMetadata)) &&
    canonical(write.value) === canonical(oldValue);
  if (isSame) return stays(200);
  return { status: current ? 200 : 201, content: formatContent(write.value, contentType, metadata), isCommitted: true };
}

/** JSON with the names of objects in order: in which they were written makes no difference. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
