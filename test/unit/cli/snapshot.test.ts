import { describe, expect, it } from 'vitest';
import { takeSnapshot, type Scope } from '../../../src/cli/snapshot.ts';
import type { Api, StreamOptions } from '../../../src/client/api.ts';
import type { StreamFrame } from '../../../src/client/event-stream.ts';
import { AttuneError, UnavailableError } from '../../../src/core/errors.ts';

type Step = StreamFrame | Error;
const items = (...texts: readonly string[]): StreamFrame => ({
  event: 'snapshot',
  id: undefined,
  data: `{"revision":5,"items":[${texts.join(',')}]}`,
});
const itemText = (key: string, value: string, contentType = 'application/json'): string =>
  `{"key":${JSON.stringify(key)},"value":${value},"version":5,"etag":"e-5","metadata":{},"contentType":"${contentType}"}`;
const synced: StreamFrame = { event: 'synced', id: 'e-5', data: '{"revision":5,"count":1}' };

async function take(connections: readonly (readonly Step[])[], scope: Scope = { prefix: 'app/' }) {
  const asked: StreamOptions[] = [];
  const openStream = async function* (options: StreamOptions = {}): AsyncGenerator<StreamFrame, void, undefined> {
    asked.push(options);
    const steps = connections[asked.length - 1] ?? [];
    if (!(steps[0] instanceof Error)) options.onOpen?.('http://x');
    for (const step of steps) {
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  let pauses = 0;
  const wait = async (): Promise<void> => void pauses++;
  const taken = takeSnapshot({ openStream } as unknown as Api, scope, new AbortController().signal, wait);
  const outcome: unknown = await taken.catch((error: unknown) => error);
  return { outcome, asked, pauses };
}

describe('a snapshot', () => {
  it('has each value as it is stored', async () => {
    const { outcome } = await take([
      [
        items(itemText('a', '{"x": 9007199254740993}'), itemText('b', '"1.10"', 'text/plain')),
        items(itemText('c', '"AAEC"', 'application/octet-stream')),
        synced,
      ],
    ]);
    expect(outcome).toEqual({
      cursor: 'e-5',
      items: new Map([
        ['a', { value: { kind: 'json', text: '{"x": 9007199254740993}' }, contentType: 'application/json', version: 5, isBytes: false }],
        ['b', { value: { kind: 'text', text: '1.10' }, contentType: 'text/plain', version: 5, isBytes: false }],
        ['c', { value: { kind: 'text', text: 'AAEC' }, contentType: 'application/octet-stream', version: 5, isBytes: true }],
      ]),
    });
  });

  it.each<[Scope, Partial<StreamOptions>]>([
    [{ prefix: 'app/' }, { prefixes: ['app/'] }],
    [{ prefix: '' }, {}],
    [{ key: 'a' }, { keys: ['a'] }],
  ])('of %j asks for no more', async (scope, selection) => {
    const { asked } = await take([[synced]], scope);
    expect(asked).toMatchObject([{ ...selection, snapshot: true }]);
    expect(Object.keys(asked[0] ?? {}).filter((name) => name === 'prefixes' || name === 'keys')).toEqual(Object.keys(selection));
  });

  it('begins anew when it is cut, so that it is of one revision', async () => {
    const { outcome, pauses } = await take([
      [items(itemText('old', '1')), new UnavailableError('the stream broke')],
      [items(itemText('gone', '1'))],
      [items(itemText('a', '1')), synced],
    ]);
    expect([...(outcome as { items: ReadonlyMap<string, unknown> }).items.keys()]).toEqual(['a']);
    expect(pauses).toBe(2);
  });

  it('forgets what came before a reset', async () => {
    const { outcome } = await take([
      [items(itemText('old', '1')), { event: 'reset', id: undefined, data: '{"reason":"slow"}' }, items(itemText('a', '1')), synced],
    ]);
    expect([...(outcome as { items: ReadonlyMap<string, unknown> }).items.keys()]).toEqual(['a']);
  });

  it('gives up after five attempts', async () => {
    const { outcome, asked } = await take([]);
    expect(outcome).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/before the snapshot was complete/) as string });
    expect(asked).toHaveLength(5);
  });

  it.each([
    [new UnavailableError('cannot reach http://x')],
    [new AttuneError('UNAUTHENTICATED', 'no')],
    [new AttuneError('PERMISSION_DENIED', 'no')],
  ])('fails at once where the server cannot be reached or refuses: %s', async (error) => {
    const { outcome, asked } = await take([[error]]);
    expect(outcome).toBe(error);
    expect(asked).toHaveLength(1);
  });
});
