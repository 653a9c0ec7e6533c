import { describe, expect, it } from 'vitest';
import { conformanceAreas, GUARANTEES } from '../../src/conformance/index.ts';
import type { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { BROKEN_PROVIDERS } from './broken-providers.ts';

const CASES = conformanceAreas({ compact: true, reopen: true }).flatMap((area) => area.cases);

/** The cases of `guarantee` that fail over the provider, by name. */
async function failuresOf(create: () => MemoryProvider, guarantee: string): Promise<string[]> {
  const failures: string[] = [];
  for (const each of CASES) {
    if (each.guarantee !== guarantee || each.needs.includes('reopen')) continue;
    const provider = create();
    try {
      await each.run({
        provider,
        prefix: 'conformance/',
        timeoutMs: 100,
        compact: async (revision) => provider.compact(revision),
        dispose: async () => provider.close(),
      });
    } catch {
      failures.push(each.name);
    } finally {
      await provider.close();
    }
  }
  return failures;
}

describe('the conformance suite', () => {
  it.each(BROKEN_PROVIDERS)('notices a provider that %s', async (_name, create, guarantee) => {
    expect(await failuresOf(create, guarantee)).not.toEqual([]);
  });

  it('names every guarantee it knows in at least one case, and no case twice', () => {
    const used = new Set<string>(CASES.map((each) => each.guarantee));
    expect(GUARANTEES.filter((guarantee) => !used.has(guarantee))).toEqual([]);
    const names = CASES.map((each) => `${each.guarantee}: ${each.name}`);
    expect(names).toEqual([...new Set(names)]);
  });
});
