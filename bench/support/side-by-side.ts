import { formatLimit, formatValue, isReached, type Distribution, type Figure, type Goal } from './result.ts';
import { spread } from './statistics.ts';

/** What one scenario came to, as the JSON keeps it. */
export interface ScenarioRecord {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  /** Of this scenario: a run of some scenarios on the same day replaces theirs only. */
  readonly commit: string;
  readonly startedAt: string;
  /** Processes that wanted a core just before. */
  readonly loadAverage: number;
  readonly tookMs: number;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly isPinned: boolean;
  readonly isProfiled: boolean;
  readonly figures: readonly Figure[];
  readonly goals: readonly Goal[];
  readonly distributions: readonly Distribution[];
  readonly notes: readonly string[];
  /** Why it has no figures. */
  readonly failure?: string;
}

export interface SideBySide {
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
  readonly scenarios: readonly ScenarioRecord[];
}

/** The scenarios of `before`, those that ran again replaced, in the order of `names`. Another machine's are not kept. */
export function mergeScenarios(before: SideBySide | undefined, now: SideBySide, names: readonly string[]): SideBySide {
  const known = new Map((before?.machine === now.machine ? before.scenarios : []).map((scenario) => [scenario.name, scenario]));
  for (const scenario of now.scenarios) known.set(scenario.name, scenario);
  return { ...now, scenarios: names.flatMap((name) => known.get(name) ?? []) };
}

/** As Markdown. `picture` is the file beside it. */
export function formatSideBySide(run: SideBySide, picture: string): string {
  const { date, machine, versions, command, scenarios } = run;
  const unsure = [
    ...(scenarios.some(({ isQuick }) => isQuick)
      ? ['Scenarios marked *quick* ran in the short form: fewer rounds, smaller sizes. They are for orientation.']
      : []),
    ...(scenarios.some(({ isProfiled }) => isProfiled)
      ? ['Scenarios marked *profiled* ran with a profiler in the server: their figures are no results.']
      : []),
  ];
  return [
    '# Side by side',
    '',
    'Attune, bare node:http, Consul and etcd on the same machine, in the same run, in alternation. How to run it and how to read it: [README.md](README.md).',
    '',
    ...unsure.flatMap((line) => [`**${line}**`, '']),
    '| scenario | what | median | range | goal | verdict |',
    '| --- | --- | --- | --- | --- | --- |',
    ...scenarios.flatMap(goalRows),
    '',
    `![Distributions of the latencies](${picture})`,
    '',
    `**Command.** \`${command}\``,
    '',
    `**Machine.** ${machine}. ${Object.entries(versions)
      .map(([program, version]) => `${program} ${version}`)
      .join(', ')}. ${date}.`,
    '',
    ...scenarios.flatMap(formatScenario),
  ].join('\n');
}

function goalRows({ name, goals, failure }: ScenarioRecord): readonly string[] {
  if (failure !== undefined) return [`| [${name}](#${name}) | failed: ${oneLine(failure)} | | | | not measured |`];
  return goals.map((goal) => {
    const { what, unit, rounds } = goal;
    return `| [${name}](#${name}) | ${what} | ${cells(rounds, unit)} | ${formatLimit(goal)} | ${isReached(goal) ? 'reached' : '**not reached**'} |`;
  });
}

function formatScenario(scenario: ScenarioRecord): readonly string[] {
  const { name, title, method, commit, loadAverage, rounds, isQuick, isPinned, isProfiled, figures, notes, tookMs } = scenario;
  const marks = [...(isQuick ? ['quick'] : []), ...(isProfiled ? ['profiled'] : []), ...(isPinned ? [] : ['not pinned to cores'])];
  return [
    `## ${name}`,
    '',
    `${title}. ${method}`,
    '',
    ...(figures.length === 0 ? [] : ['| party | what | median | range |', '| --- | --- | --- | --- |']),
    ...figures.map(({ party, what, unit, rounds: values }) => `| ${party} | ${what} | ${cells(values, unit)} |`),
    '',
    `${rounds} rounds after a warm-up, ${(tookMs / 1_000).toFixed(0)} s, commit ${commit}, load average ${loadAverage.toFixed(1)} before.${marks.length === 0 ? '' : ` *${marks.join(', ')}*.`}`,
    '',
    ...notes.flatMap((note) => [`- ${oneLine(note)}`, '']),
  ];
}

function cells(rounds: readonly number[], unit: Figure['unit']): string {
  const { median, least, most } = spread(rounds);
  return `${formatValue(median, unit)} | ${formatValue(least, unit)} to ${formatValue(most, unit)}`;
}

/** The same for a terminal: one line a goal. */
export function formatVerdicts({ name, goals, failure }: ScenarioRecord): string {
  if (failure !== undefined) return `${name.padEnd(15)} failed: ${failure}\n`;
  return goals
    .map((goal) => {
      const { median, least, most } = spread(goal.rounds);
      const [value, range] = [formatValue(median, goal.unit), `${formatValue(least, goal.unit)} to ${formatValue(most, goal.unit)}`];
      return `${name.padEnd(15)} ${goal.what.padEnd(62)} ${value.padStart(11)}  (${range}; ${formatLimit(goal)}) ${isReached(goal) ? 'reached' : 'NOT REACHED'}\n`;
    })
    .join('');
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 400);
