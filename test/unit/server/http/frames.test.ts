import fc from 'fast-check';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { describe, expect, it } from 'vitest';
import { encodeComment, encodeFrame, encodeRetry } from '../../../../src/server/http/frames.ts';
import { anyText } from '../../core/characters.ts';

interface Heard {
  readonly events: EventSourceMessage[];
  readonly comments: string[];
  readonly retries: number[];
}

/** What a client hears. */
function hear(...chunks: readonly Buffer[]): Heard {
  const heard: Heard = { events: [], comments: [], retries: [] };
  const parser = createParser({
    onEvent: (event) => heard.events.push(event),
    onComment: (comment) => heard.comments.push(comment),
    onRetry: (retry) => heard.retries.push(retry),
    onError: (error) => {
      throw error;
    },
  });
  for (const chunk of chunks) parser.feed(chunk.toString());
  return heard;
}

// Whatever a key, a value or metadata may hold, as JSON: line separators, colons, field names, NUL.
const nasty = fc.oneof(
  anyText,
  fc.constantFrom('a\nid: x', '\r\nevent: reset\r\n', '\u0000', '\u2028data: 1\u2029', '\ufeff', ': ping', '\u0085', 'data', '\n\n'),
);

describe('a frame', () => {
  it('is heard as the one event it is, whatever its values hold', () => {
    fc.assert(
      fc.property(fc.array(nasty, { maxLength: 4 }), (values) => {
        const data = JSON.stringify({ values });
        const { events, comments, retries } = hear(encodeFrame('change', data, 'e-1'), encodeFrame('bookmark', '{"revision":2}', 'e-2'));
        expect(events).toEqual([
          { event: 'change', id: 'e-1', data },
          { event: 'bookmark', id: 'e-2', data: '{"revision":2}' },
        ]);
        expect([comments, retries]).toEqual([[], []]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('has one data line, so that sed and jq can read it', () => {
    expect(encodeFrame('synced', '{"revision":3,"count":1}', 'e-3').toString()).toBe(
      'id: e-3\nevent: synced\ndata: {"revision":3,"count":1}\n\n',
    );
    expect(encodeFrame('reset', '{"reason":"slow"}').toString()).toBe('event: reset\ndata: {"reason":"slow"}\n\n');
  });

  it.each([
    ['{"a":\n1}', 'e-1'],
    ['{"a":\r1}', 'e-1'],
    ['{}\0', 'e-1'],
    ['{}', 'e-1\nevent: reset'],
    ['{}', 'e\r-1'],
    ['{}', '\0'],
  ])('is never made of what would break its line: %j, %j', (data, id) => {
    expect(() => encodeFrame('change', data, id)).toThrow('would break its line');
  });
});

describe('a comment', () => {
  it('stays one comment, whatever it says', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const heard = hear(encodeComment(text), encodeFrame('synced', '{}', 'e-1'));
        expect(heard.events).toHaveLength(1);
        expect(heard.comments).toHaveLength(1);
      }),
    );
  });
});

it('retry is whole milliseconds: digits only, or clients ignore it', () => {
  expect(hear(encodeRetry(1_234.567)).retries).toEqual([1_235]);
});
