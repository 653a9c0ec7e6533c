import { basename, dirname } from 'node:path';
import { assertNever } from '../../core/assert-never.ts';
import { InvalidArgumentError, UnavailableError, isAttuneError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/item.ts';
import { warnOnConsole } from '../client-options.ts';
import type { Clock } from '../clock.ts';
import type { OverrideSource } from '../durable.ts';
import { sameJson } from '../json-value.ts';
import { Listeners } from '../listeners.ts';
import { isAbsence, parseFilePath } from './file-path.ts';
import { FolderWatch } from './folder-watch.ts';
import { parseOverrides } from './overrides-format.ts';
import { readRegularFile } from './read-regular-file.ts';
import { unrefClock } from './unref-clock.ts';

export interface OverridesFileOptions {
  /** Need not exist yet. */
  readonly path: string;
  /** Default: `console.warn`. */
  readonly onError?: (error: unknown) => void;
  /** Default: the system's, with timers that keep no process alive. */
  readonly clock?: Clock;
}

/** The file is read so often whatever the system tells. */
export const POLL_INTERVAL_MS = 3_000;
/** From the first sign of a change to reading it. */
export const DEBOUNCE_MS = 50;
/** What is gone or broken must stay so for this long: it may be in the middle of being written. */
export const DOUBT_MS = 250;
export const MAX_OVERRIDES_BYTES = 1024 * 1024;

type Values = ReadonlyMap<string, JsonValue>;

/** `text` tells one finding from another. */
type Finding =
  | { readonly type: 'values'; readonly text: string; readonly values: Values }
  | { readonly type: 'absent'; readonly text: '' }
  | { readonly type: 'unusable'; readonly text: string; readonly error: unknown };

const NONE: Values = new Map();

/**
 * Values that an operator writes into a file, as a JSON object by key. No file means none. Changes are seen within a fraction of a second, or
 * three where the system tells of none, however they are made: in place, by a rename, by turning a link. What cannot be read or is not right
 * leaves the values as they were, and goes to `onError` once for each content.
 */
export class OverridesFile implements OverrideSource {
  readonly #path: string;
  readonly #listeners = new Listeners<[error: unknown]>(warnOnConsole);
  readonly #clock: Clock;
  readonly #folder: FolderWatch;
  #onValues: ((values: Values) => void) | undefined;
  #told = NONE;
  /** Not believed yet. */
  #doubt: { readonly finding: Finding; readonly since: number } | undefined;
  /** What was reported last, and is still so. */
  #reported: string | undefined;
  #timer: { readonly at: number; readonly cancel: () => void } | undefined;
  #looking: Promise<void> | undefined;
  #isHurried = false;
  #isClosed = false;

  /** Touches no file yet. @throws {InvalidArgumentError} */
  constructor(options: OverridesFileOptions) {
    this.#path = parseFilePath(options.path, 'overridesFile');
    this.#listeners.add('', options.onError ?? warnOnConsole);
    this.#clock = options.clock ?? unrefClock;
    const own = basename(this.#path);
    // Kubernetes turns the link '..data', through which the file is reached.
    this.#folder = new FolderWatch(dirname(this.#path), (name) => {
      if (name === undefined || name === own || name.startsWith('..')) this.#hurry();
    });
  }

  async open(onValues: (values: Values) => void): Promise<void> {
    if (this.#isClosed) return;
    this.#onValues = onValues;
    await this.#run(async () => {
      const finding = await this.#find();
      if (this.#isClosed) return;
      // Without doubt: there is nothing better to hold on to.
      if (finding.type === 'values') this.#told = finding.values;
      else this.#believe(finding);
      this.#tell(this.#told);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#folder.close();
    await this.#looking;
  }

  #hurry(): void {
    this.#isHurried = true;
    if (!this.#looking) this.#wake(DEBOUNCE_MS);
  }

  /** Looks after `delayMs`, or when it would have looked anyway if that is sooner. */
  #wake(delayMs: number): void {
    const at = this.#clock.now() + delayMs;
    if (this.#isClosed || (this.#timer && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      void this.#run(() => this.#look());
    });
    this.#timer = { at, cancel };
  }

  /** One at a time: the next is set off by the end of this one. */
  #run(look: () => Promise<void>): Promise<void> {
    this.#isHurried = false;
    this.#looking = look().then(() => {
      this.#looking = undefined;
      this.#wake(this.#isHurried ? DEBOUNCE_MS : this.#doubt ? DOUBT_MS : POLL_INTERVAL_MS);
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const finding = await this.#find();
    if (this.#isClosed) return;
    if (!this.#isForTheWorse(finding) || this.#isBeyondDoubt(finding)) this.#believe(finding);
  }

  #isForTheWorse(finding: Finding): boolean {
    switch (finding.type) {
      case 'values':
        return false;
      case 'absent':
        return this.#told.size > 0;
      case 'unusable':
        return this.#reported !== finding.text;
      default:
        return assertNever(finding);
    }
  }

  /** A file that is being written or replaced is broken or gone for a moment. */
  #isBeyondDoubt(finding: Finding): boolean {
    const now = this.#clock.now();
    const isSame = this.#doubt && this.#doubt.finding.type === finding.type && this.#doubt.finding.text === finding.text;
    if (!isSame || !this.#doubt) this.#doubt = { finding, since: now };
    return now - this.#doubt.since >= DOUBT_MS;
  }

  #believe(finding: Finding): void {
    this.#doubt = undefined;
    switch (finding.type) {
      case 'values':
        this.#reported = undefined;
        if (!sameValues(this.#told, finding.values)) this.#tell(finding.values);
        return;
      case 'absent':
        this.#reported = undefined;
        if (this.#told.size > 0) this.#tell(NONE);
        return;
      case 'unusable':
        if (this.#reported === finding.text) return;
        this.#reported = finding.text;
        this.#listeners.emit('', finding.error);
        return;
      default:
        assertNever(finding);
    }
  }

  #tell(values: Values): void {
    this.#told = values;
    try {
      this.#onValues?.(values);
    } catch (error) {
      this.#listeners.emit('', error);
    }
  }

  /** Never rejects. */
  async #find(): Promise<Finding> {
    // Watched before it is read, so that no change is between the two.
    await this.#folder.renew();
    let text: string;
    try {
      text = await readRegularFile(this.#path, MAX_OVERRIDES_BYTES);
    } catch (error) {
      return isAbsence(error) ? { type: 'absent', text: '' } : { type: 'unusable', text: String(error), error: this.#describe(error) };
    }
    try {
      return { type: 'values', text, values: parseOverrides(text) };
    } catch (error) {
      return { type: 'unusable', text, error: this.#describe(error) };
    }
  }

  #describe(cause: unknown): Error {
    const message = `the overrides file ${this.#path} is ignored, and what it said before still holds: ${(cause as Error).message}`;
    const options = { cause, details: { file: this.#path } };
    return isAttuneError(cause, 'INVALID_ARGUMENT') ? new InvalidArgumentError(message, options) : new UnavailableError(message, options);
  }
}

function sameValues(a: Values, b: Values): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && sameJson(value, b.get(key) ?? null));
}
