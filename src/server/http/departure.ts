import type { ServerResponse } from 'node:http';

/** Tells whether a client has gone before it was answered. An `AbortSignal` says the same, and is too heavy for thousands of held polls. */
export interface Departure {
  readonly isGone: boolean;
  /** Called when it goes; by whoever waits, one at a time, while `isGone` is false. */
  onGone: (() => void) | undefined;
}

export function departureOf(response: ServerResponse): Departure {
  const departure: Departure = {
    get isGone() {
      return response.destroyed && !response.writableFinished;
    },
    onGone: undefined,
  };
  response.once('close', () => departure.onGone?.());
  return departure;
}
