import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOutput } from '../support/example-output.ts';
import { HttpService } from '../support/http-service.ts';
import { pageSteps } from '../support/page-commands.ts';
import { ShellSession } from '../support/shell-session.ts';
import { Cli } from './cli-process.ts';

describe('docs/import-export.md, run from top to bottom', () => {
  let cli: Cli;
  let service: HttpService;
  let shell: ShellSession;
  beforeAll(async () => {
    cli = Cli.build();
    service = await HttpService.start();
    shell = new ShellSession({ cwd: cli.folder, env: cli.env({ ATTUNE_URL: service.url, NO_COLOR: '1' }) });
  });
  afterAll(async () => {
    await shell[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
    cli[Symbol.dispose]();
  });

  const steps = pageSteps('docs/import-export.md');

  it('shows commands', () => {
    expect(steps.filter(({ does }) => does === 'run').length).toBeGreaterThan(3);
  });

  it.each(steps)('$name', async (step) => {
    if (step.does === 'save') return writeFileSync(join(cli.folder, step.file), step.text);
    expect(step.does).toBe('run');
    expectOutput((await shell.run(step.command)).output, step.output ?? '');
  });
});
