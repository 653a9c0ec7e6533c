import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { packPackage } from '../../scripts/pack.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const doors = Object.keys(manifest.exports)
  .filter((door) => door !== './package.json')
  .map((door) => `${manifest.name}/${door.slice(2)}`);

describe('the package, installed into an empty folder', () => {
  let folder: string;
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', timeout: 120_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  const runModule = (source: string, ...options: readonly string[]): unknown =>
    JSON.parse(run(process.execPath, ...options, '--input-type=module', '--eval', source));

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'attune-package-'));
    using packed = packPackage();
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', packed.tarball);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has the doors the design names', () => {
    expect(doors.toSorted()).toEqual(['attune/client', 'attune/conformance', 'attune/provider', 'attune/server']);
  });

  it.each(doors)('lets %s be imported, and required all the same', (door) => {
    const names = runModule(`
      import { createRequire } from 'node:module';
      const imported = Object.keys(await import('${door}')).sort();
      const required = Object.keys(createRequire(process.cwd() + '/main.cjs')('${door}')).sort();
      console.log(JSON.stringify({ imported, required }));
    `) as { imported: readonly string[]; required: readonly string[] };
    expect(names.imported.length).toBeGreaterThan(0);
    // Node 20.19 and later may add `module.exports` and `__esModule` to what `require` returns.
    expect(names.required).toEqual(expect.arrayContaining([...names.imported]));
  });

  it('keeps what is internal to itself', () => {
    expect(() => runModule(`import 'attune/dist/core/key.js';`)).toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it('has types that hold without anything else being installed', () => {
    const lines = [
      ...doors.map((door, index) => `export * as door${index} from '${door}';`),
      `import type { ConfigProvider } from 'attune/provider';`,
      '// @ts-expect-error Were it any, as what cannot be resolved is, this would hold.',
      'export const provider: ConfigProvider = 5;',
    ];
    writeFileSync(join(folder, 'main.mts'), lines.join('\n'));
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{
            target: 'es2023',
            lib: ['es2023', 'esnext.disposable'],
            module: 'nodenext',
            strict: true,
            noEmit: true,
            skipLibCheck: false,
          },
          ...{ types: ['node'], typeRoots: [resolve('node_modules/@types')] },
        },
        files: ['main.mts'],
      }),
    );
    expect(run(resolve('node_modules/.bin/tsc'), '-p', 'tsconfig.json')).toBe('');
  });

  it('brings the command along', () => {
    expect(run('npx', '--no-install', 'attune', '--version')).toBe(manifest.version);
    expect(run('npx', '--no-install', 'attune', '--help')).toContain('serve');
  });

  it('serves, keeping its data in the folder, until it is told to stop', async () => {
    const env = { ...process.env, ATTUNE_PORT: '0', ATTUNE_DATA_DIR: join(folder, 'data') };
    const server = spawn('node_modules/.bin/attune', ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const exit = once(server, 'exit');
      let output = '';
      const base = await new Promise<string>((settle, fail) => {
        server.stdout.on('data', (chunk) => {
          output += String(chunk);
          const announced = /(http:\S+:\d+)\s/.exec(output)?.[1];
          if (announced !== undefined) settle(announced);
        });
        server.once('exit', () => fail(new Error(`attune serve ended before it said where it listens: ${output}`)));
      });
      const url = `${base}/api/v1/configs/app/pool-size`;
      const headers = { 'content-type': 'application/json' };
      expect((await fetch(url, { method: 'PUT', headers, body: '{"value":20}' })).status).toBe(201);
      expect(await (await fetch(`${url}?raw`)).text()).toBe('20');
      server.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
    } finally {
      server.kill('SIGKILL');
    }
  });
});
