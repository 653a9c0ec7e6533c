import { median } from './statistics.ts';

export type Unit = 'x' | 'per second' | 'ms' | 'µs' | 'bytes' | '';

/** One figure of one party, a value for each round. */
export interface Figure {
  readonly party: string;
  readonly what: string;
  readonly unit: Unit;
  readonly rounds: readonly number[];
}

export type Limit = { readonly atLeast: number } | { readonly atMost: number };

/** What is to be reached: the median of the rounds is held against the limit. */
export interface Goal {
  readonly what: string;
  readonly unit: Unit;
  readonly limit: Limit;
  readonly rounds: readonly number[];
}

export interface Distribution {
  readonly title: string;
  /** Milliseconds, sorted; of all rounds together. */
  readonly parties: readonly { readonly name: string; readonly times: readonly number[] }[];
}

export interface ScenarioResult {
  readonly figures: readonly Figure[];
  readonly goals: readonly Goal[];
  readonly distributions: readonly Distribution[];
  /** What was found out while measuring, such as a size that differs from what is planned. */
  readonly notes?: readonly string[];
}

export function isReached({ limit, rounds }: Goal): boolean {
  const value = median(rounds);
  return 'atLeast' in limit ? value >= limit.atLeast : value <= limit.atMost;
}

export function formatLimit({ limit, unit }: Goal): string {
  return 'atLeast' in limit ? `at least ${formatValue(limit.atLeast, unit)}` : `at most ${formatValue(limit.atMost, unit)}`;
}

export function formatValue(value: number, unit: Unit): string {
  if (unit === 'x') return `${value.toFixed(2)} x`;
  if (unit === 'bytes') return Math.abs(value) >= 10_000 ? `${(value / 1_000).toFixed(1)} KB` : `${value.toFixed(0)} bytes`;
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const text = value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ',');
  return unit === '' ? text : unit === 'per second' ? `${text}/s` : `${text} ${unit}`;
}
