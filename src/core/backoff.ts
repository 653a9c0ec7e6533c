/** Delays between attempts: full jitter, `random(0, min(maxMs, baseMs * factor^attempt))`. Units: milliseconds. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly factor: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = Object.freeze({ baseMs: 250, maxMs: 30_000, factor: 2 });

/**
 * The delay before attempt number `attempt` (0 is the first retry). Full jitter spreads a thousand clients that lost the same
 * server evenly (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */
export function backoffMs(attempt: number, options: BackoffOptions = DEFAULT_BACKOFF, random: () => number = Math.random): number {
  const ceiling = Math.min(options.maxMs, options.baseMs * options.factor ** Math.min(attempt, 64));
  return Math.round(random() * ceiling);
}
