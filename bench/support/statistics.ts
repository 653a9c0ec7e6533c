/** The value below which `share` of `sorted` lies. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function ascending(values: Iterable<number>): readonly number[] {
  return Array.from(Float64Array.from(values).sort());
}

/** The middle one, or between the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/** What a few rounds came to. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * `ours / theirs`, round by round: what disturbs the machine disturbs both halves of a round, and leaves its ratio nearly alone.
 * @throws {RangeError} not the same number of rounds.
 */
export function ratios(ours: readonly number[], theirs: readonly number[]): readonly number[] {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} rounds of one and ${theirs.length} of the other`);
  return ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
}

/** At most `count` of the values of `sorted`, evenly spaced by rank, the least and the largest among them. */
export function thin(sorted: ArrayLike<number>, count: number): readonly number[] {
  if (sorted.length <= count) return Array.from(sorted);
  return Array.from({ length: count }, (_, index) => sorted[Math.round((index * (sorted.length - 1)) / (count - 1))] ?? Number.NaN);
}
