import type { ConfigService } from './config-service.ts';
import { createLayout } from './store/layout.ts';

/** Namespaces that differ by a slash at the beginning are easily confused: much of what lies in etcd begins with one. */
export interface TwinNamespace {
  readonly namespace: string;
  /** The provider URL that names it. */
  readonly url: string;
}

const LIST_MS = 3_000;

/**
 * Says so if `service`, which is live, has no keys while its twin has some: `no keys under app/config/, but 37 under /app/config/: did you mean
 * etcd://h:2379//app/config?` Undefined where there is nothing to say, or the twin cannot be read.
 */
export async function confusionWith(
  twin: TwinNamespace,
  { keys, skippedKeys, provider, layout }: ConfigService,
): Promise<string | undefined> {
  if (keys > 0 || skippedKeys > 0) return undefined;
  const other = createLayout(twin.namespace);
  try {
    const { entries } = await provider.list(other.root, { deadlineMs: LIST_MS });
    const count = entries.filter(({ key }) => other.keyOfValue(key) !== undefined).length;
    return count === 0 ? undefined : `no keys under ${layout.root}, but ${count} under ${other.root}: did you mean ${twin.url}?`;
  } catch {
    // A user who may not read there did not mean it.
    return undefined;
  }
}
