import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOutput } from '../support/example-output.ts';
import { eventually } from '../support/eventually.ts';
import { HttpService } from '../support/http-service.ts';
import { pageSteps } from '../support/page-commands.ts';
import { ShellSession, type OpenCommand } from '../support/shell-session.ts';

describe('docs/cli.md, run from top to bottom', () => {
  const opened = new Map<string, OpenCommand>();
  let folder: string;
  let service: HttpService;
  let shell: ShellSession;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'attune-docs-'));
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    symlinkSync(resolve('dist/cli/main.js'), join(bin, 'attune'));
    service = await HttpService.start();
    shell = new ShellSession({
      cwd: folder,
      env: { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`, HOME: folder, ATTUNE_URL: service.url, NO_COLOR: '1' },
    });
  });
  afterAll(async () => {
    await shell[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(pageSteps('docs/cli.md'))('$name', async (step) => {
    if (step.does === 'save') throw new Error(`the page saves ${step.file}, which nothing here reads`);
    if (step.does === 'run') {
      const { output, code } = await shell.run(step.command);
      if (step.output === undefined) expect({ output, code }).toMatchObject({ code: 0 });
      else expectOutput(output, step.output);
    } else if (step.does === 'open') {
      opened.set(step.command, shell.open(step.command));
      await expect.poll(() => service.server.streams.size, { timeout: 10_000 }).toBe(opened.size);
    } else await eventually(() => expectOutput(opened.get(step.command)?.output ?? '', step.output ?? ''));
  });
});
