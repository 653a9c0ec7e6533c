import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MemoryProvider } from '../../src/providers/memory/memory-provider.ts';
import { HttpService } from '../support/http-service.ts';
import { Cli, type RunningCli } from './cli-process.ts';

let cli: Cli;
let service: HttpService;
beforeAll(() => {
  cli = Cli.build();
});
afterAll(() => cli[Symbol.dispose]());
beforeEach(async () => {
  service = await HttpService.start();
});
afterEach(() => service[Symbol.asyncDispose]());

/** Starts a watch and waits until no change can be missed. */
async function watch(words: readonly string[], url = service.url): Promise<RunningCli> {
  const running = cli.start(['watch', ...words], { env: { ATTUNE_URL: url } });
  await running.until(({ stderr }) => stderr.includes('attune: watching'));
  return running;
}
const changesOf = (running: RunningCli): readonly string[] =>
  running
    .lines()
    .map((line) => JSON.parse(line) as { type: string; key?: string; newValue?: unknown; reason?: string })
    .map(
      ({ type, key, newValue, reason }) => `${type} ${key ?? reason ?? ''}${newValue === undefined ? '' : ` ${JSON.stringify(newValue)}`}`,
    );

describe('attune watch', () => {
  it('prints each change on a line, and ends after as many as asked for', async () => {
    const running = await watch(['app/', '-n', '3']);
    await service.set('app/a', 1);
    await service.set('other', 1);
    await service.set('app/a', 'two');
    await service.delete('app/a');
    const { code, stdout, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, 'attune: watching app/\n']);
    expect(stdout.replaceAll(/^\d\d:\d\d:\d\d/gm, 'hh:mm:ss').replaceAll(/version \d+/g, 'version N')).toBe(
      'hh:mm:ss + app/a = 1  version N\nhh:mm:ss ~ app/a = 1 -> two  version N\nhh:mm:ss - app/a  version N\n',
    );
  });

  it('takes a name without a slash at its end for a key, several for all of them', async () => {
    const running = await watch(['app', 'db/', '-o', 'json', '-n', '2']);
    await service.set('app/a', 1);
    await service.set('db/host', 1);
    await service.set('app', 1);
    await running.ended;
    expect(changesOf(running)).toEqual(['created db/host 1', 'created app 1']);
  });

  it('prints one JSON object a line, numbers as they are stored', async () => {
    const running = await watch(['-o', 'json', '-n', '1']);
    await service.outside({ 'app/big': '[9007199254740993,\n 1.10]' });
    const { stdout } = await running.ended;
    expect(stdout).toContain('"newValue":[9007199254740993,1.10]');
    expect(stdout.split('\n')).toHaveLength(2);
  });

  it('begins with what is there, if asked to', async () => {
    await service.set('app/a', 1);
    const running = await watch(['app/', '--snapshot', '-o', 'json', '-n', '1']);
    await service.set('app/a', 2);
    await running.ended;
    expect(changesOf(running)).toEqual(['item app/a', 'updated app/a 2']);
  });

  it('begins after a cursor, if given one', async () => {
    await service.set('app/a', 1);
    const cursor = await service.cursor();
    await service.set('app/a', 2);
    await service.set('app/a', 3);
    const running = cli.start(['watch', 'app/', '--since', cursor, '-o', 'json', '-n', '2'], { env: { ATTUNE_URL: service.url } });
    await running.ended;
    expect(changesOf(running)).toEqual(['updated app/a 2', 'updated app/a 3']);
    expect(await cli.run(['watch', '--since', 'nonsense'], { env: { ATTUNE_URL: service.url } })).toMatchObject({ code: 7 });
  });

  it('goes on over a restart of the server without gap or repeat', async () => {
    const provider = new MemoryProvider();
    const first = await HttpService.start({ provider });
    const { port, url } = first;
    const running = await watch(['app/', '-o', 'json', '-n', '4'], url);
    await first.set('app/a', 1);
    await first.set('app/a', 2);
    await running.until(({ stdout }) => stdout.split('\n').length > 2);
    await first.server.close({ graceMs: 500, spreadMs: 0 });
    await running.until(({ stderr }) => stderr.includes('reconnecting'));
    const second = await HttpService.start({ provider, port });
    try {
      await second.set('app/a', 3);
      await second.set('app/a', 4);
      const { code, stderr } = await running.ended;
      expect(code).toBe(0);
      expect(stderr).toContain('reconnecting');
      expect(stderr).toContain('attune: connected again\n');
    } finally {
      await second[Symbol.asyncDispose]();
    }
    // A memory store has no history for a new node: what was missed is told as a reset with the state, never skipped in silence.
    const [one, two, ...rest] = changesOf(running);
    expect([one, two]).toEqual(['created app/a 1', 'updated app/a 2']);
    expect(rest.filter((line) => line.endsWith(' 3') || line.endsWith(' 4'))).toEqual(['updated app/a 3', 'updated app/a 4']);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends on %s with 128 and its number, saying nothing', async (signal) => {
    const running = await watch([]);
    running.kill(signal);
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([{ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal], 'attune: watching everything\n']);
  });

  it('ends silently with 0 if its reader goes away', async () => {
    const ended = cli.shell('attune watch app/ | head -n 1', { env: { ATTUNE_URL: service.url } });
    const stop = new AbortController();
    const writing = (async () => {
      for (let value = 0; !stop.signal.aborted; value++) await service.set('app/a', value);
    })();
    const { code, stdout, stderr } = await ended;
    stop.abort();
    await writing;
    expect({ code, lines: stdout.split('\n').length, stderr }).toEqual({ code: 0, lines: 2, stderr: 'attune: watching app/\n' });
  });

  it('fails at once if the server was never there', async () => {
    const { url } = service;
    await service.server.close({ graceMs: 0, spreadMs: 0 });
    expect(await cli.run(['watch'], { env: { ATTUNE_URL: url } })).toMatchObject({ code: 6, stdout: '' });
  });
});
