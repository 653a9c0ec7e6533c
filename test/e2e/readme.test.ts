import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectOutput } from '../support/example-output.ts';
import { pageSteps } from '../support/page-commands.ts';
import { ShellSession, type OpenCommand } from '../support/shell-session.ts';

const PAGE_ADDRESS = '127.0.0.1:8080';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly scripts: Readonly<Record<string, string>> };

/** What a checkout has after `npm ci` and a build. */
const CHECKOUT = ['package.json', 'package-lock.json', 'tsconfig.json', 'dist', 'node_modules'];

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

/** The service is built already: what `npm start` does after that. */
function serveCommand(): string {
  const [build, serve] = (scripts['start'] ?? '').split(' && ');
  expect(build).toBe('npm run --silent build');
  return serve ?? '';
}

describe('README.md, run from top to bottom in a checkout of its own', () => {
  const opened = new Map<string, OpenCommand>();
  let folder: string;
  let address: string;
  let shell: ShellSession;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'attune-readme-'));
    for (const name of CHECKOUT) symlinkSync(resolve(name), join(folder, name));
    const port = await findFreePort();
    address = `127.0.0.1:${port}`;
    shell = new ShellSession({
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, ATTUNE_PORT: String(port), ATTUNE_URL: `http://${address}`, NO_COLOR: '1' },
    });
  });
  afterAll(async () => {
    await shell[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const here = (command: string): string => command.replaceAll(PAGE_ADDRESS, address);
  const shown = (output: string): string => output.replaceAll(address, PAGE_ADDRESS);

  const followers = async (): Promise<number> => {
    const response = await fetch(`http://${address}/api/v1/status`).catch(() => undefined);
    if (!response) return 0;
    const { streams, polls } = (await response.json()) as { readonly streams: number; readonly polls: number };
    return streams + polls;
  };

  it.each(pageSteps('README.md'))('$name', async (step) => {
    if (step.does === 'save') writeFileSync(join(folder, step.file), step.text);
    else if (step.does === 'look') await eventually(() => expectOutput(shown(opened.get(step.command)?.output ?? ''), step.output ?? ''));
    else if (step.command === 'npm ci && npm start') {
      opened.set(step.command, shell.open(serveCommand()));
      await expect
        .poll(
          () =>
            fetch(`http://${address}/readyz`).then(
              (response) => response.ok,
              () => false,
            ),
          { timeout: 20_000 },
        )
        .toBe(true);
    } else if (step.command === 'npm ci && npm test') {
      // Run by whoever runs this.
      expect(scripts['test']).toBe('tsx scripts/test.ts');
    } else if (step.does === 'open') {
      const before = await followers();
      opened.set(step.command, shell.open(here(step.command)));
      await expect.poll(followers, { timeout: 10_000 }).toBe(before + 1);
    } else {
      const { output, code } = await shell.run(here(step.command));
      if (step.output === undefined) expect({ output, code }).toMatchObject({ code: 0 });
      else expectOutput(shown(output), step.output);
    }
  });

  it('shows what the service says to try at its start', () => {
    const banner = [...opened.values()][0]?.output ?? '';
    const commands = [...banner.matchAll(/^ {2}\w+ +(curl .*)$/gm)].map(([, command = '']) => shown(command));
    expect(commands.length).toBeGreaterThan(2);
    expect(commands.filter((command) => !readFileSync('README.md', 'utf8').includes(command))).toEqual([]);
  });
});
