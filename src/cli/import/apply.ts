import type { Api } from '../../client/api.ts';
import { backoffMs } from '../../core/backoff.ts';
import { AttuneError, isAttuneError, type ErrorCode } from '../../core/errors.ts';
import { EXIT, exitCodeOf } from '../exit-code.ts';
import type { Invocation } from '../invocation.ts';
import { pause, type Pause } from '../pause.ts';
import { showProgress } from '../progress-bar.ts';
import type { Terminal } from '../terminal.ts';
import type { PlannedChange } from './plan.ts';

/** Writes under way at once. */
const MAX_IN_FLIGHT = 32;

/** Tries of one write that was certainly not applied (the server is overloaded, restarting, not there). */
const ATTEMPTS = 6;

export interface WriteContext extends Pick<Invocation, 'terminal' | 'signal'> {
  readonly wait?: Pause;
}

interface Failure {
  readonly key: string;
  readonly error: unknown;
}

/**
 * Carries the changes out, 32 at a time. A failed one does not stop the others, unless all would fail alike (the server is gone, or refuses us). A delete is
 * conditional: what changed since it was listed is kept, and is a failure. An interruption lets writes under way end and starts no more.
 * @throws {AttuneError} some failed, with the most serious code among them; `details.failures` names every key.
 * @throws {Interruption} saying how far it got.
 */
export async function applyChanges(invocation: WriteContext, api: Api, changes: readonly PlannedChange[]): Promise<void> {
  const { terminal, signal } = invocation;
  const { done, failures } = await writeAll(invocation, api, changes);
  tellFailures(terminal, failures);
  if (signal.aborted) {
    terminal.tell(`attune: stopped after ${done} of ${changes.length} changes; run the same command again for the rest`);
    throw signal.reason;
  }
  if (failures.length > 0) throw failureOf(failures, done, changes.length);
}

async function writeAll({ terminal, signal, wait = pause }: WriteContext, api: Api, changes: readonly PlannedChange[]) {
  const failures: Failure[] = [];
  const queue = changes.values();
  let done = 0;
  let isHopeless = false;
  using bar = showProgress(terminal, 'writing', changes.length);
  const work = async (): Promise<void> => {
    for (const change of queue) {
      try {
        await writeInsistently(api, change, signal, wait);
        bar.show(++done);
      } catch (error) {
        if (error === signal.reason) return;
        failures.push({ key: change.key, error });
        isHopeless ||= isAttuneError(error) && HOPELESS.has(error.code);
      }
      if (signal.aborted || isHopeless) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_IN_FLIGHT, changes.length) }, work));
  return { done, failures };
}

/** What no other key will fare better with. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['UNAUTHENTICATED', 'UNAVAILABLE', 'NOT_READY', 'RATE_LIMITED']);

async function writeInsistently(api: Api, change: PlannedChange, signal: AbortSignal, wait: Pause): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write(api, change);
    } catch (error) {
      if (!isAttuneError(error) || !error.retryable || attempt === ATTEMPTS) throw error;
      const askedMs = error.details['retryAfterMs'];
      await wait(Math.max(backoffMs(attempt), typeof askedMs === 'number' ? Math.min(askedMs, 10_000) : 0), signal);
    }
  }
}

/** Without a signal: a write that was sent is waited for, so that what is said about it is true. */
async function write(api: Api, change: PlannedChange): Promise<void> {
  if (change.type !== 'deleted') {
    await api.put(change.key, { raw: change.value.text, contentType: change.contentType });
    return;
  }
  try {
    await api.delete(change.key, { ifVersion: change.old.version });
  } catch (error) {
    // Somebody else deleted it meanwhile: `current` is null.
    if (!isAttuneError(error, 'NOT_FOUND') && !(isAttuneError(error, 'CONFLICT') && error.details['current'] === null)) throw error;
  }
}

const MOST_LINES = 20;

function tellFailures(terminal: Terminal, failures: readonly Failure[]): void {
  for (const { key, error } of failures.slice(0, MOST_LINES)) {
    const { code, detail } = describe(error);
    terminal.tell(`  ${key}: ${code}: ${detail}`);
  }
  if (failures.length > MOST_LINES) terminal.tell(`  and ${failures.length - MOST_LINES} more`);
}

function describe(error: unknown): { readonly code: ErrorCode; readonly detail: string } {
  return isAttuneError(error) ? { code: error.code, detail: error.message } : { code: 'INTERNAL', detail: String(error) };
}

function failureOf(failures: readonly Failure[], done: number, total: number): AttuneError {
  const described = failures.map(({ key, error }) => ({ key, ...describe(error) }));
  const codes = new Set(described.map(({ code }) => code));
  const [first] = described;
  const code = codes.size === 1 && first ? first.code : mostSerious(failures);
  return new AttuneError(
    code,
    `${failures.length} of ${total} changes failed, ${done} were made; run the same command again for the rest`,
    { details: { failures: described } },
  );
}

/** Failures of several kinds: first those a person must look into. */
function mostSerious(failures: readonly Failure[]): ErrorCode {
  const rank = [EXIT.unknownOutcome, EXIT.denied, EXIT.unreachable, EXIT.refused, EXIT.conflict] as const;
  for (const exit of rank) {
    const failure = failures.find(({ error }) => exitCodeOf(error) === exit);
    if (failure) return describe(failure.error).code;
  }
  return 'INTERNAL';
}
