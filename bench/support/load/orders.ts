import type { FailoverLoad, FailoverResult, FailoverState } from './failover.ts';
import type { Arrivals, OpenListeners, TriggerChange } from './listeners.ts';
import type { RequestLoad, RequestLoadResult } from './request-load.ts';
import type { StoreWatch, WatchedPuts, WatchLatencies } from './watch-latency.ts';

/** What a load process can be asked to do, and what it answers. */
export interface LoadOrders {
  readonly requests: (input: RequestLoad) => RequestLoadResult;
  readonly open: (input: OpenListeners) => undefined;
  readonly send: (input: { readonly request: string }) => undefined;
  readonly change: (input: TriggerChange) => Arrivals;
  readonly watch: (input: StoreWatch) => undefined;
  readonly watchedPuts: (input: WatchedPuts) => WatchLatencies;
  readonly failoverOpen: (input: FailoverLoad) => undefined;
  readonly failoverState: (input: undefined) => FailoverState;
  readonly failoverResult: (input: { readonly last: number; readonly lostAt: number; readonly withinMs: number }) => FailoverResult;
}

export type OrderName = keyof LoadOrders;
export type OrderInput<Name extends OrderName> = Parameters<LoadOrders[Name]>[0];
export type OrderOutput<Name extends OrderName> = ReturnType<LoadOrders[Name]>;

/** Over the channel between the processes. */
export interface OrderMessage<Name extends OrderName = OrderName> {
  readonly id: number;
  readonly name: Name;
  readonly input: OrderInput<Name>;
}

export type AnswerMessage = { readonly id: number; readonly output: unknown } | { readonly id: number; readonly error: string };
