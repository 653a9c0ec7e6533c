/*
 * Question: is Attune as fast as it is meant to be, beside a bare server and the stores that one would use instead, on the same machine in the same run?
 * Method: docs/benchmarks/README.md; one file in bench/scenarios/ for each row of the table of goals.
 * Command: npm run bench
 * Excluded: the network; more than one machine; stores of more than one member.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, relative } from 'node:path';
import { ensureConsul, ensureEtcd } from '../scripts/stores.ts';
import { currentCommit, describeMachine, FOLDER, today } from './report.ts';
import { SCENARIOS } from './scenarios/all.ts';
import { parseArguments, UsageError, type BenchArguments } from './support/arguments.ts';
import { Bench, type Scenario } from './support/bench.ts';
import { drawDistributions } from './support/ecdf.ts';
import { pinTo } from './support/processor.ts';
import { isReached, type ScenarioResult } from './support/result.ts';
import { formatSideBySide, formatVerdicts, mergeScenarios, type ScenarioRecord, type SideBySide } from './support/side-by-side.ts';
import { thin } from './support/statistics.ts';

const ROUNDS = { full: 5, quick: 2 };
/** A scenario that takes longer has failed. */
const SCENARIO_MS = { full: 15 * 60_000, quick: 5 * 60_000 };
/** Points of a distribution that are kept. */
const POINTS = 201;
const ROOT = join(import.meta.dirname, '..');
/** A list of numbers as JSON writes it with one a line. */
const NUMBERS = /\[(?:\s+(?:null|-?[\d.e+-]+),?)+\s+\]/g;
const CACHE = join(ROOT, '.cache/bench');
const PROFILES = join(CACHE, 'profiles');

const HELP = `npm run bench -- [options]

Runs every scenario of docs/benchmarks/README.md against its bare counterpart, Consul and etcd, which it starts itself on free ports of 127.0.0.1.
Measures what was built last in this checkout (npm run bench builds first).

  --only <scenario>   this one only; may be repeated, or a list with commas
  --quick             the short form, for orientation: fewer rounds, smaller sizes; the report goes to .cache/bench unless --out says otherwise
  --rounds <number>   rounds that count, after one to warm up; default ${ROUNDS.full}, with --quick ${ROUNDS.quick}
  --out <folder>      where <date>-side-by-side.md, .json and .svg go; default docs/benchmarks. Scenarios that ran before on the same day are kept
  --profile           a CPU profile of every server under test; its figures are no results; all of it goes to .cache/bench/profiles unless --out says otherwise
  --heap-profile      the same with a sampling profile of allocations
  --no-pin            do not give servers one core and load the other
  --help              this text

Scenarios:
${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(16)}  ${title}`).join('\n')}

Exit code: 0 when everything was measured, whether or not the goals are reached; 1 when a scenario failed; 2 for wrong arguments; 130 when interrupted.
`;

const NAMES = SCENARIOS.map(({ name }) => name);
const interruption = new AbortController();

async function main(words: readonly string[]): Promise<number> {
  let options: BenchArguments;
  try {
    options = parseArguments(words, NAMES);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n`);
    return 2;
  }
  if (options.isHelp) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      process.stderr.write(`\nbench: ${signal}, ending what was started\n`);
      interruption.abort(new Error(`interrupted by ${signal}`));
    });
  }
  const versions = {
    Node: process.version,
    etcd: versionOf(await ensureEtcd(), '--version'),
    Consul: versionOf(await ensureConsul(), 'version'),
  };
  const records: ScenarioRecord[] = [];
  for (const scenario of SCENARIOS.filter(({ name }) => options.only.includes(name))) {
    const record = await runScenario(scenario, options);
    if (interruption.signal.aborted) break;
    process.stdout.write(formatVerdicts(record));
    records.push(record);
  }
  if (records.length > 0) {
    write(options, {
      date: today(),
      machine: describeMachine(),
      versions,
      command: ['npm run bench', ...(words.length > 0 ? ['--', ...words] : [])].join(' '),
      scenarios: records,
    });
  }
  return interruption.signal.aborted ? 130 : records.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

async function runScenario({ name, title, method, run }: Scenario, options: BenchArguments): Promise<ScenarioRecord> {
  const form = options.isQuick ? 'quick' : 'full';
  const rounds = options.rounds ?? ROUNDS[form];
  const begin = performance.now();
  const about = {
    name,
    title,
    method,
    commit: currentCommit(),
    startedAt: new Date().toISOString(),
    loadAverage: loadavg()[0] ?? 0,
    rounds,
    isQuick: options.isQuick,
    isPinned: pinTo('server', options.isPinned).length > 0,
    isProfiled: options.profile !== undefined,
  };
  const progress = (text: string): void =>
    void process.stderr.write(`${((performance.now() - begin) / 1_000).toFixed(0).padStart(5)} s  ${name}: ${text}\n`);
  const bench = new Bench({
    rounds,
    isQuick: options.isQuick,
    isPinned: options.isPinned,
    profile: options.profile,
    profileFolder: PROFILES,
    scenario: name,
    progress,
  });
  let result: ScenarioResult;
  let failure: string | undefined;
  try {
    result = await within(run(bench), SCENARIO_MS[form]);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    progress(`failed: ${failure}`);
    result = { figures: [], goals: [], distributions: [] };
  } finally {
    await bench[Symbol.asyncDispose]();
  }
  const distributions = result.distributions.map((distribution) => ({
    ...distribution,
    parties: distribution.parties.map((party) => ({ ...party, times: thin(party.times, POINTS) })),
  }));
  const record = { ...about, ...result, distributions, notes: result.notes ?? [], tookMs: Math.round(performance.now() - begin) };
  return failure === undefined ? record : { ...record, failure };
}

/** Rejects when the run is interrupted or takes too long. What still runs then loses its servers, and its errors interest nobody. */
async function within<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  work.catch(() => undefined);
  const { signal } = interruption;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('interrupted'));
    const timer = setTimeout(() => reject(new Error(`not done after ${ms / 60_000} minutes`)), ms);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    work
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      })
      .catch(() => undefined);
  });
}

function write({ out, isQuick, profile }: BenchArguments, run: SideBySide): void {
  const folder = out ?? (profile !== undefined ? PROFILES : isQuick ? CACHE : FOLDER);
  const name = `${run.date}-side-by-side`;
  mkdirSync(folder, { recursive: true });
  const merged = mergeScenarios(readBefore(join(folder, `${name}.json`)), run, NAMES);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(merged, roundForJson, 1).replaceAll(NUMBERS, inOneLine)}\n`);
  writeFileSync(join(folder, `${name}.md`), formatSideBySide(merged, `${name}.svg`));
  const distributions = merged.scenarios.flatMap((scenario) => scenario.distributions);
  writeFileSync(join(folder, `${name}.svg`), drawDistributions(`Attune side by side, ${run.date}`, distributions));
  const goals = run.scenarios.flatMap((scenario) => scenario.goals);
  process.stdout.write(
    `\n${goals.filter(isReached).length} of ${goals.length} goals reached; ${relative(process.cwd(), join(folder, `${name}.md`))} (.json, .svg)\n`,
  );
}

function readBefore(path: string): SideBySide | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  return JSON.parse(text) as SideBySide;
}

const inOneLine = (list: string): string => list.replaceAll(/\s+/g, '');

/** Six digits are more than any of it is good for. */
function roundForJson(_name: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
}

function versionOf(program: string, word: string): string {
  const output = execFileSync(program, [word], { encoding: 'utf8' });
  return /(\d+\.\d+\.\d+)/.exec(output)?.[1] ?? 'unknown';
}

process.exitCode = await main(process.argv.slice(2));
