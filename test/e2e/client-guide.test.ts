import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packClient } from '../../scripts/client-package.ts';
import { expectOutput } from '../support/example-output.ts';
import { HttpService } from '../support/http-service.ts';
import { pageSteps, type PageStep } from '../support/page-commands.ts';
import { ShellSession } from '../support/shell-session.ts';

const steps = pageSteps('docs/client.md');
const isCommand = (step: PageStep): step is PageStep & { readonly does: 'run' } => step.does === 'run';
const isProgram = (step: PageStep): step is PageStep & { readonly does: 'save' } => step.does === 'save';

const COMPILER_OPTIONS = {
  ...{ target: 'es2023', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true },
  ...{ types: ['node'], typeRoots: [resolve('node_modules/@types')] },
};

describe('docs/client.md', () => {
  let folder: string;
  let service: HttpService;
  let shell: ShellSession;

  beforeAll(async () => {
    // Within the project, so that what its node_modules hold is found.
    mkdirSync('.cache', { recursive: true });
    folder = mkdtempSync(resolve('.cache', 'client-guide-'));
    mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true });
    symlinkSync(resolve('.'), join(folder, 'node_modules', 'attune'));
    unpackClient(join(folder, 'node_modules', 'attune-client'));
    symlinkSync(resolve('node_modules', '.bin', 'tsx'), join(folder, 'node_modules', '.bin', 'tsx'));
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    service = await HttpService.start();
    const env = { PATH: process.env['PATH'], HOME: folder, ATTUNE_URL: service.url, NO_COLOR: '1', npm_config_update_notifier: 'false' };
    shell = new ShellSession({ cwd: folder, env });
  });
  afterAll(async () => {
    await shell[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has programs that the compiler takes', () => {
    for (const { file, text } of steps.filter(isProgram)) writeFileSync(join(folder, file), text);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['*.ts'] }));
    expect(compile(folder)).toBe('');
  });

  it.each(steps.filter(isCommand))('$name', async ({ command, output }) => {
    expectOutput((await shell.run(command)).output, output ?? '');
  });

  it('runs every program it shows', () => {
    const run = steps.filter(isCommand).map(({ command }) => command);
    expect(steps.filter(isProgram).filter(({ file }) => !run.some((command) => command.endsWith(` ${file}`)))).toEqual([]);
  });
});

/** The package as it is installed, but for what it depends on: that is found in the project. */
function unpackClient(folder: string): void {
  using packed = packClient();
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', packed.tarball, '-C', folder, '--strip-components=1']);
}

/** What the compiler says against the programs in `folder`. */
function compile(folder: string): string {
  try {
    return execFileSync(resolve('node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], { cwd: folder, encoding: 'utf8' });
  } catch (error) {
    return String((error as { readonly stdout?: unknown }).stdout);
  }
}
