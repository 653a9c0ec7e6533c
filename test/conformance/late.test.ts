import { describe, expect, it } from 'vitest';
import { PermissionDeniedError, ProtocolError, UnavailableError, type CallOptions } from '../../src/core/provider.ts';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { LateProvider } from '../../src/server/store/late-provider.ts';
import { runConformance } from './run-conformance.ts';

/** Fails to open as often as it is told to. */
class AbsentProvider extends MemoryProvider {
  readonly failures: Error[] = [];
  opens = 0;

  override async open(options?: CallOptions): Promise<void> {
    this.opens++;
    await new Promise((resolve) => setImmediate(resolve));
    const failure = this.failures.shift();
    if (failure) throw failure;
    return super.open(options);
  }
}

const away = (): Error => new UnavailableError('nobody is there');
const check = { checks: [], operations: [] };

describe('a provider that was opened late', () => {
  runConformance({ compact: true, reopen: false }, async () => {
    const inner = new AbsentProvider();
    inner.failures.push(away());
    const provider = new LateProvider(inner, () => undefined);
    await provider.head('').catch(() => undefined);
    await provider.open();
    return {
      provider,
      prefix: 'conformance/',
      compact: async (revision) => inner.compact(revision),
      dispose: async () => provider.close(),
    };
  });

  it('opens it with the first call that finds it there, once for all calls of the moment', async () => {
    const inner = new AbsentProvider();
    inner.failures.push(away(), away());
    const refusals: unknown[] = [];
    const provider = new LateProvider(inner, (reason) => refusals.push(reason));
    await expect(provider.read(['a'])).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'nobody is there' });
    await expect(Promise.allSettled([provider.commit(check), provider.list('')])).resolves.toMatchObject([
      { status: 'rejected', reason: { code: 'UNAVAILABLE' } },
      { status: 'rejected', reason: { code: 'UNAVAILABLE' } },
    ]);
    expect(inner.opens).toBe(2);
    await Promise.all([provider.head(''), provider.list(''), provider.read(['a'])]);
    await provider.commit(check);
    expect([inner.opens, refusals]).toEqual([3, []]);
    await provider.close();
  });

  it('goes on trying where something else answers in the store’s place', async () => {
    const inner = new AbsentProvider();
    inner.failures.push(away(), new ProtocolError('<h1>Welcome</h1>'));
    const refusals: unknown[] = [];
    const provider = new LateProvider(inner, (reason) => refusals.push(reason));
    await expect(provider.head('')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(provider.head('')).rejects.toMatchObject({ code: 'PROTOCOL' });
    await provider.head('');
    expect(refusals).toEqual([]);
    await provider.close();
  });

  it('tells once that it is refused, and fails as the store does', async () => {
    const inner = new AbsentProvider();
    const refused = new PermissionDeniedError('not you');
    inner.failures.push(away(), refused, refused);
    const refusals: unknown[] = [];
    const provider = new LateProvider(inner, (reason) => refusals.push(reason));
    await expect(provider.head('')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(refusals).toEqual([]);
    await expect(provider.head('')).rejects.toBe(refused);
    await expect(provider.head('')).rejects.toBe(refused);
    expect(refusals).toEqual([refused]);
    await provider.close();
  });
});
