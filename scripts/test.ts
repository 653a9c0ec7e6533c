import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { countTestResults, formatTestTotal, isGreen, NO_TEST_RESULTS, sumTestResults, type TestResults } from './test-results.ts';
import { isTestTier, TEST_TIER_NAMES, type TestTier } from './test-tiers.ts';

/*
 * npm test [-- <tier>...]: the compiler, the build, then every tier of tests (or those named), one after the other: tiers that
 * start servers and stop them under load shall not disturb each other. A red tier does not keep the next from running; the exit
 * code is 0 only if every test of every tier ran and passed.
 */

const RESULTS_FOLDER = '.cache/test-results';

function fail(message: string): never {
  process.stderr.write(`npm test: ${message}\n`);
  process.exit(1);
}

function run(title: string, command: string, args: readonly string[]): number | null {
  console.log(`\n== ${title}`);
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) fail(`${title}: ${error.message}`);
  return status;
}

function runTier(tier: TestTier): TestResults {
  const report = join(RESULTS_FOLDER, `${tier}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const exitCode = run(`tier ${tier}`, 'vitest', ['run', '--project', tier, ...reporters]);
  try {
    return countTestResults(readFileSync(report, 'utf8'), exitCode);
  } catch (error) {
    console.error(`tier ${tier} left no report that can be read:`, error);
    return NO_TEST_RESULTS;
  }
}

const named = process.argv.slice(2);
for (const name of named) if (!isTestTier(name)) fail(`no tier "${name}"; there are ${TEST_TIER_NAMES.join(', ')}`);
const tiers = named.length === 0 ? TEST_TIER_NAMES : named.filter(isTestTier);

// A report of an earlier run must not speak for this one.
rmSync(RESULTS_FOLDER, { recursive: true, force: true });
mkdirSync(RESULTS_FOLDER, { recursive: true });

if (run('type check', 'tsc', ['-p', 'tsconfig.json']) !== 0) fail('the type check failed');
if (run('build', 'npm', ['run', '--silent', 'build']) !== 0) fail('the build failed');

const results = new Map<TestTier, TestResults>();
const summary: string[] = [];
for (const tier of tiers) {
  const start = performance.now();
  const result = runTier(tier);
  results.set(tier, result);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  summary.push(
    `${tier.padEnd(12)} ${formatTestTotal(result)}, ${result.skipped} skipped, ${seconds} s${isGreen(result) ? '' : '  <- not green'}`,
  );
}

const total = sumTestResults(results.values());
writeFileSync(join(RESULTS_FOLDER, 'total.txt'), `${formatTestTotal(total)}\n`);
console.log(`\n== summary\n${summary.join('\n')}`);
process.exitCode = [...results.values()].every(isGreen) ? 0 : 1;
