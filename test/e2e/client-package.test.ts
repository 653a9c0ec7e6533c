import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { packClient } from '../../scripts/client-package.ts';
import { HttpService } from '../support/http-service.ts';

const DOORS = ['attune-client', 'attune-client/node', 'attune-client/tabs', 'attune-client/testing'];
const FOR_BROWSERS = DOORS.filter((door) => door !== 'attune-client/node');

/** A program over a client of `door`: it reads, watches and writes, and must end by itself. */
const program = (door: string, url: string): string => `
  import { ConfigClient } from '${door}';
  const config = await ConfigClient.connect({ url: '${url}', prefix: 'app/' });
  const heard = [config.get('app/size')];
  config.watch('app/size', (value) => heard.push(value));
  await config.set('app/size', heard[0] + 1);
  await config.delete('app/size');
  await config.close();
  console.log(JSON.stringify(heard));
`;
const TESTING_PROGRAM = `
  import { createTestConfig } from 'attune-client/testing';
  const config = await createTestConfig({ values: { 'app/size': 10 }, onError: () => undefined });
  const heard = [config.client.get('app/size')];
  config.client.watch('app/size', (value) => heard.push(value));
  await config.set('app/size', 11);
  await config.goOffline(new Error('cable cut'));
  await config.delete('app/size');
  await config.goOnline();
  console.log(JSON.stringify(heard));
`;

/** Were anything of it any, as what cannot be resolved is, the expected errors would be missing. */
const TYPED_USE = `
  import { ConfigClient, isAttuneError, type ClientStatus, type JsonValue, type StandardSchema } from 'attune-client';
  import { shareTabs } from 'attune-client/tabs';
  import { createTestConfig } from 'attune-client/testing';
  const size: StandardSchema<number | undefined, number> = {
    '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value: Number(value) }) },
  };
  export async function use(): Promise<number> {
    await using config = await ConfigClient.connect({ url: 'http://127.0.0.1:8080', prefix: '', schema: { size }, share: shareTabs({ name: 'shop' }) });
    using stop = config.watch('size', (value: number) => value);
    // @ts-expect-error There is no such key.
    config.get('sise');
    const { client } = await createTestConfig({ values: { a: [1] } });
    const value: JsonValue | undefined = client.get('a');
    const status: ClientStatus = client.status;
    // @ts-expect-error It is no number.
    const wrong: number = status.state;
    return isAttuneError(value, 'CONFLICT') ? wrong : config.get('size');
  }
`;

describe('the package attune-client, installed into an empty folder', () => {
  let folder: string;
  const run = (command: string, ...args: readonly string[]): string =>
    execFileSync(command, args, { cwd: folder, encoding: 'utf8', timeout: 120_000, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  /** Not while this process waits: it is the server. */
  const runModule = async (source: string): Promise<unknown> => {
    const args = ['--input-type=module', '--eval', source];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: 20_000 });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };
  const compile = (name: string, source: string, options: object, extension = 'mts'): string => {
    writeFileSync(join(folder, `${name}.${extension}`), source);
    const compilerOptions = { target: 'es2023', strict: true, noEmit: true, skipLibCheck: false, ...options };
    writeFileSync(join(folder, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions, files: [`${name}.${extension}`] }));
    try {
      return run(resolve('node_modules/.bin/tsc'), '-p', `tsconfig.${name}.json`);
    } catch (error) {
      return String((error as { readonly stdout?: unknown }).stdout);
    }
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'attune-client-package-'));
    using packed = packClient();
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', 'install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', packed.tarball);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('brings at most one other package', () => {
    expect(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      'attune-client',
      'eventsource-parser',
    ]);
  });

  it('has the version and the license of the project, and the doors the design names', () => {
    const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
    const { version, license, exports, sideEffects } = read(join(folder, 'node_modules/attune-client/package.json'));
    const project = read('package.json');
    expect({ version, license, sideEffects }).toEqual({ version: project['version'], license: project['license'], sideEffects: false });
    const doors = Object.keys(exports as object).filter((door) => door !== './package.json');
    expect(doors.map((door) => `attune-client${door.slice(1)}`)).toEqual(DOORS);
  });

  it.each(DOORS)('lets %s be imported, and required all the same, as one module', async (door) => {
    const names = (await runModule(`
      import { createRequire } from 'node:module';
      const imported = await import('${door}');
      const required = createRequire(process.cwd() + '/main.cjs')('${door}');
      const same = Object.keys(imported).filter((name) => imported[name] === required[name]);
      console.log(JSON.stringify({ imported: Object.keys(imported), same }));
    `)) as { readonly imported: readonly string[]; readonly same: readonly string[] };
    expect(names.imported.length).toBeGreaterThan(0);
    expect(names.same).toEqual(names.imported);
  });

  it('keeps what is internal to itself', async () => {
    await expect(runModule(`import 'attune-client/dist/core/key.js';`)).rejects.toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it.each([
    ['nodenext', { module: 'nodenext' }],
    ['a bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])('has types that hold in browsers, resolved by %s', (_name, resolution) => {
    const source = [...FOR_BROWSERS.map((door, index) => `export * as door${index} from '${door}';`), TYPED_USE].join('\n');
    expect(compile('browser', source, { ...resolution, lib: ['es2023', 'dom'], types: [] })).toBe('');
  });

  it('has types that hold in Node, where there is no DOM', () => {
    const source = [...DOORS.map((door, index) => `export * as door${index} from '${door}';`), TYPED_USE].join('\n');
    const types = { types: ['node'], typeRoots: [resolve('node_modules/@types')] };
    expect(compile('node', source, { module: 'nodenext', lib: ['es2023'], ...types })).toBe('');
  });

  it('has types that hold where modules are CommonJS', () => {
    const source = DOORS.map(
      (door, index) => `import door${index} = require('${door}');\nexport const made${index}: object = door${index};`,
    );
    const types = { types: ['node'], typeRoots: [resolve('node_modules/@types')] };
    expect(compile('main', source.join('\n'), { module: 'nodenext', lib: ['es2023'], ...types }, 'cts')).toBe('');
  });

  it.each(DOORS.slice(0, 2))('%s speaks with a service, and its process ends by itself after close', async (door) => {
    await using service = await HttpService.start();
    await service.set('app/size', 10);
    expect(await runModule(program(door, service.url))).toEqual([10, 11, null]);
    expect((await service.get('/api/v1/configs/app/size')).status).toBe(404);
  });

  it('attune-client/testing needs no service, and nothing of it keeps the process alive, without close even', async () => {
    expect(await runModule(TESTING_PROGRAM)).toEqual([10, 11, null]);
  });
});
