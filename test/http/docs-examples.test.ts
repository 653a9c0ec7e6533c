import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, RawRequest } from '../support/http-exchange.ts';
import { HttpService } from '../support/http-service.ts';
import type { HttpStream } from '../support/http-stream.ts';
import { parseMarkdown } from '../support/markdown.ts';

/** What differs from run to run is what the page says; only the epoch is random, and stands in the page as this. */
const PAGE_EPOCH = '9f2c51d07ab3e846';
const PAGE_TIME = Date.parse('2026-11-21T08:30:00.000Z');
const PAGE_REQUEST_ID = '5d1f0c6e-3d7b-4b0e-9a43-0c5d9c1f2a77';

interface Example {
  readonly line: number;
  readonly request: string;
  readonly answer: string;
  /** Left open while the examples up to its answer are run. */
  readonly isOpen: boolean;
}

interface Step {
  readonly name: string;
  readonly example: Example;
  readonly does: 'exchange' | 'begin' | 'finish';
}

function readSteps(): readonly Step[] {
  const steps: Step[] = [];
  const open: { line: number; request: string }[] = [];
  let asked: { line: number; request: string } | undefined;
  for (const { language, words, text, line } of parseMarkdown(readFileSync('docs/http-api.md', 'utf8')).blocks) {
    if (language !== 'http') continue;
    const isOpen = words.includes('open') || words.includes('closed');
    if (!text.startsWith('HTTP/1.1')) {
      if (asked) throw new Error(`the request at line ${asked.line} has no answer`);
      if (!isOpen) asked = { line, request: text };
      else {
        open.push({ line, request: text });
        steps.push({ name: `${line}: opens ${firstLine(text)}`, example: { line, request: text, answer: '', isOpen }, does: 'begin' });
      }
      continue;
    }
    const request = isOpen ? open.shift() : asked;
    if (!request) throw new Error(`the answer at line ${line} belongs to no request`);
    if (!isOpen) asked = undefined;
    const name = `${request.line}: ${isOpen ? 'ends ' : ''}${firstLine(request.request)}`;
    steps.push({ name, example: { ...request, answer: text, isOpen }, does: isOpen ? 'finish' : 'exchange' });
  }
  if (asked ?? open[0]) throw new Error(`the request at line ${(asked ?? open[0])?.line} has no answer`);
  return steps;
}

const firstLine = (text: string): string => text.slice(0, text.indexOf(' HTTP/1.1'));

/** Head and body of a block; the block's last line feed is not part of the body. */
function split(text: string): { readonly start: string; readonly headers: readonly (readonly [string, string])[]; readonly body: string } {
  const [head = '', ...rest] = text.split('\n\n');
  const [start = '', ...lines] = head.trimEnd().split('\n');
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const);
  return { start, headers, body: rest.join('\n\n').replace(/\n$/, '') };
}

describe('docs/http-api.md', () => {
  const steps = readSteps();
  let service: HttpService;
  let epoch: string;
  const opened: (Promise<Answer> | Promise<HttpStream>)[] = [];

  beforeAll(async () => {
    service = await HttpService.start({ service: { now: () => PAGE_TIME, random: () => 0.5 } });
    epoch = service.server.service.epoch;
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const requestOf = ({ request }: Example): RawRequest => {
    const { start, headers, body } = split(request.replaceAll(PAGE_EPOCH, epoch));
    const [method = '', path = ''] = start.split(' ');
    return { method, path, headers: { ...Object.fromEntries(headers), 'X-Request-Id': PAGE_REQUEST_ID }, ...(body !== '' && { body }) };
  };
  const shown = (text: string): string => text.replaceAll(epoch, PAGE_EPOCH);

  const compare = (answer: Answer, page: string): void => {
    const { start, headers, body } = split(page);
    expect(`HTTP/1.1 ${answer.status}`).toBe(start.split(' ').slice(0, 2).join(' '));
    for (const [name, value] of headers) expect(`${name}: ${shown(answer.header(name) ?? '')}`).toBe(`${name}: ${value}`);
    if (answer.header('Content-Type')?.includes('json')) expect(JSON.parse(shown(answer.text))).toEqual(JSON.parse(body));
    else expect(shown(answer.text)).toBe(body);
  };

  const compareStream = async (stream: HttpStream, page: string): Promise<void> => {
    const { start, headers, body } = split(page);
    expect(start).toBe(`HTTP/1.1 ${stream.status} OK`);
    for (const [name, value] of headers)
      expect(`${name}: ${shown(stream.headers.get(name.toLowerCase()) ?? '')}`).toBe(`${name}: ${value}`);
    for (const block of body.trimEnd().split('\n\n')) expect(shown((await stream.next())?.raw ?? 'the end of the stream')).toBe(block);
  };

  it.each(steps)('$name', async ({ example, does }) => {
    const request = requestOf(example);
    if (does === 'exchange') compare(await service.send(request), example.answer);
    else if (does === 'finish') {
      const answer = await opened.shift();
      if (answer && 'next' in answer) await compareStream(answer, example.answer);
      else if (answer) compare(answer, example.answer);
    } else if (request.path.startsWith('/api/v1/watch')) {
      opened.push(service.stream(request.path.replace('/api/v1/watch', ''), request.headers));
      await opened.at(-1);
    } else {
      opened.push(service.send(request));
      await expect.poll(() => service.server.polls.size, { interval: 5 }).toBe(1);
    }
  });
});
