import { readFileSync } from 'node:fs';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';
import { parseMarkdown } from '../support/markdown.ts';
import { ExampleProcess } from './example-process.ts';

const LISTENING = /listening on (http:\S+)/;

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** Over a connection that is kept, as browsers and proxies do. */
async function get(agent: Agent, url: string): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { agent }, resolve).on('error', reject).end();
  });
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(await text(response)) };
}

describe.each(['express-recipe', 'fastify-recipe'])('examples/%s', (name) => {
  it('reads per request, shows its state, and closes by itself when told to', async () => {
    await using service = await HttpService.start();
    await using shop = new ExampleProcess(`examples/${name}/index.ts`, service.url);
    const agent = new Agent({ keepAlive: true });
    try {
      const url = await shop.said(LISTENING);
      expect((await get(agent, `${url}/price/1000`)).body).toEqual({ cents: 1000 });
      await service.set('shop/discount-percent', 20);
      await eventually(async () => expect((await get(agent, `${url}/price/1000`)).body).toEqual({ cents: 800 }));
      // Does not fit the schema: the last good value stays.
      await service.set('shop/discount-percent', 200);
      const revision = await service.set('shop/marker', 1);
      await eventually(async () => expect((await get(agent, `${url}/health`)).body).toMatchObject({ config: 'live', revision }));
      expect((await get(agent, `${url}/price/1000`)).body).toEqual({ cents: 800 });

      await service[Symbol.asyncDispose]();
      await eventually(async () => expect((await get(agent, `${url}/health`)).body).toMatchObject({ config: 'stale' }));
      const answer = await get(agent, `${url}/price/1000`);
      expect([answer.status, answer.body]).toEqual([200, { cents: 800 }]);

      shop.terminate();
      expect(await shop.ended()).toBe(0);
    } finally {
      agent.destroy();
    }
  });
});

describe('examples/express-recipe', () => {
  it('sets a server option again when it changes', async () => {
    await using service = await HttpService.start();
    await using shop = new ExampleProcess('examples/express-recipe/index.ts', service.url);
    const agent = new Agent({ keepAlive: true });
    try {
      const url = await shop.said(LISTENING);
      expect((await get(agent, `${url}/health`)).headers['keep-alive']).toBe('timeout=5');
      await service.set('shop/keep-alive-ms', 9_000);
      await eventually(async () => expect((await get(agent, `${url}/health`)).headers['keep-alive']).toBe('timeout=9'));
    } finally {
      agent.destroy();
    }
  });
});

describe('examples/fastify-recipe', () => {
  it('changes its log level while it runs', async () => {
    await using service = await HttpService.start();
    await service.set('shop/log-level', 'warn');
    await using shop = new ExampleProcess('examples/fastify-recipe/index.ts', service.url);
    const agent = new Agent({ keepAlive: true });
    try {
      const url = await shop.said(LISTENING);
      await get(agent, `${url}/price/1`);
      await service.set('shop/log-level', 'info');
      await eventually(async () => {
        await get(agent, `${url}/price/2`);
        expect(shop.output).toContain('"/price/2"');
      });
      expect(shop.output).not.toContain('"/price/1"');
    } finally {
      agent.destroy();
    }
  });
});

describe('examples/sdk-basics', () => {
  it('prints what its README shows', async () => {
    const shown = parseMarkdown(readFileSync('examples/sdk-basics/README.md', 'utf8')).blocks.find(({ language }) => language === 'text');
    await using service = await HttpService.start();
    await using program = new ExampleProcess('examples/sdk-basics/index.ts', service.url);
    expect(await program.ended()).toBe(0);
    const withoutVersions = (output: string): string => output.replaceAll(/(version|sent) \d+/g, '$1 <n>').trim();
    expect(withoutVersions(program.output)).toBe(withoutVersions(shown?.text ?? ''));
  });
});
