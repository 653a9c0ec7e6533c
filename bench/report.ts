import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Row {
  readonly what: string;
  readonly value: string;
}

export interface Report {
  /** File name without ending. */
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly method: string;
  readonly command: string;
  readonly rows: readonly Row[];
  /** What the figures do not say. */
  readonly notes: readonly string[];
  /** Every figure, unrounded. */
  readonly data: unknown;
}

/** Processes that want a core, before anything is measured: above 0 the machine is not ours alone. */
const [busy = 0] = loadavg();
/** Where results are kept. */
export const FOLDER = join(import.meta.dirname, '../docs/benchmarks');

export const today = (): string => new Date().toISOString().slice(0, 10);

export const currentCommit = (): string =>
  execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname }).trim();

export function describeMachine(): string {
  return `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.version}`;
}

/** Writes the report as `docs/benchmarks/<date>-<name>.md` and `.json`, and prints its table. */
export function writeReport(report: Report): void {
  const date = today();
  const machine = `${describeMachine()}, load average ${busy.toFixed(1)} at the start`;
  const commit = currentCommit();
  const table = report.rows.map(({ what, value }) => `| ${what} | ${value} |`);
  const text = [
    `# ${report.title}`,
    '',
    report.question,
    '',
    '| | |',
    '| --- | --- |',
    ...table,
    '',
    `**Method.** ${report.method}`,
    '',
    `**Command.** \`${report.command}\``,
    '',
    `**Machine.** ${machine}. Commit ${commit}, ${date}.`,
    '',
    ...report.notes.map((note) => `- ${note}`),
    '',
  ].join('\n');
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, `${date}-${report.name}.md`), text);
  writeFileSync(
    join(FOLDER, `${date}-${report.name}.json`),
    `${JSON.stringify({ machine, commit, date, command: report.command, data: report.data }, undefined, 2)}\n`,
  );
  process.stdout.write(`${report.title}\n${report.rows.map(({ what, value }) => `  ${what.padEnd(60)} ${value}`).join('\n')}\n`);
}

export const milliseconds = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
