import { setTimeout as sleep } from 'node:timers/promises';
import { collectedMemory, startAttune } from '../support/attune-server.ts';
import type { Bench, Scenario } from '../support/bench.ts';
import { LoadProcess, requireConnections } from '../support/load/load-process.ts';
import { residentBytes, untilQuiet } from '../support/processor.ts';
import { startBare } from '../support/bare-process.ts';
import { renderRequest } from '../support/requests.ts';
import type { ScenarioResult } from '../support/result.ts';

/** Opened first, so that what a process loads and compiles once does not count. */
const BEFORE = 200;
const WITHIN_MS = 60_000;

export const memoryStreams: Scenario = {
  name: 'memory-streams',
  title: 'memory of an idle stream',
  method: `Resident memory of the server with 10,000 idle streams more than the ${BEFORE} it had before, divided by 10,000, some seconds after the last one was opened; a new server each round. Beside it: the same after a collection was asked for, and a bare node:http server that holds as many streams.`,
  run,
};

interface Round {
  /** Bytes for each stream. */
  readonly resident: number;
  readonly collected?: number;
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const streams = bench.size(10_000, 5_000);
  requireConnections(streams + BEFORE);
  const rounds = await bench.alternate({ attune: async () => ownRound(bench, streams), bare: async () => bareRound(bench, streams) });
  const resident = rounds.attune.map((round) => round.resident);
  return {
    figures: [
      { party: 'Attune', what: 'resident per idle stream', unit: 'bytes', rounds: resident },
      {
        party: 'Attune',
        what: 'resident per idle stream, after a collection',
        unit: 'bytes',
        rounds: rounds.attune.map(({ collected }) => collected ?? Number.NaN),
      },
      { party: 'bare node:http', what: 'resident per idle stream', unit: 'bytes', rounds: rounds.bare.map((round) => round.resident) },
    ],
    goals: [{ what: 'resident per idle stream', unit: 'bytes', limit: { atMost: 20_000 }, rounds: resident }],
    distributions: [],
    notes: streams === 10_000 ? [] : [`With ${streams} streams.`],
  };
}

async function ownRound(bench: Bench, streams: number): Promise<Round> {
  const load = await LoadProcess.start(bench);
  const server = await startAttune(bench, { args: ['--provider', 'memory:'], canCollect: true });
  const open = async (count: number): Promise<void> => {
    const requests = [renderRequest({ path: '/api/v1/watch?prefix=bench/' })];
    await load.do('open', { port: server.port, count, requests, readyMarker: 'event: synced', withinMs: WITHIN_MS });
    await settle(server.pid);
  };
  await open(BEFORE);
  const before = (await collectedMemory(server)).rss;
  await open(streams);
  const resident = (server.residentBytes - before) / streams;
  const collected = ((await collectedMemory(server)).rss - before) / streams;
  await load[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  return { resident, collected };
}

async function bareRound(bench: Bench, streams: number): Promise<Round> {
  const load = await LoadProcess.start(bench);
  const bare = await startBare(bench);
  const open = async (count: number): Promise<void> => {
    await load.do('open', {
      port: bare.port,
      count,
      requests: [renderRequest({ path: '/stream' })],
      readyMarker: 'event: synced',
      withinMs: WITHIN_MS,
    });
    await settle(bare.pid);
  };
  await open(BEFORE);
  const before = residentBytes(bare.pid);
  await open(streams);
  const resident = (residentBytes(bare.pid) - before) / streams;
  await load[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
  return { resident };
}

async function settle(pid: number): Promise<void> {
  await sleep(2_000);
  await untilQuiet(pid);
}
