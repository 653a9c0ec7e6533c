import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Starts a server as built, in a process of its own, and tells which of the packages were loaded: at the start, and after a value in YAML. */
const PROGRAM = `
  import module from 'node:module';
  import { openProvider, startHttpServer } from './dist/server/index.js';
  const loaded = () => ['@grpc/grpc-js', 'consul', 'etcd3', 'express', 'yaml'].filter((name) =>
    Object.keys(module._cache).some((file) => file.includes('/node_modules/' + name + '/')));
  const { provider, namespace } = await openProvider('memory:');
  await provider.open();
  const server = await startHttpServer({ provider, namespace });
  const atStart = loaded();
  const put = await fetch(server.url + '/api/v1/configs/app/a', { method: 'PUT', headers: { 'Content-Type': 'application/yaml' }, body: 'a: [1, 2]' });
  console.log(JSON.stringify({ atStart, status: put.status, withYaml: loaded() }));
  await server.close({ graceMs: 0, spreadMs: 0 });
  await provider.close();
`;

test('a start loads the store it uses and no other, and YAML with the first YAML', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROGRAM], { timeout: 60_000 });
  expect(JSON.parse(stdout)).toEqual({ atStart: ['express'], status: 201, withYaml: ['express', 'yaml'] });
});
