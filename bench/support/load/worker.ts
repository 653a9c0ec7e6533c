import { FailoverClients } from './failover.ts';
import { Listeners } from './listeners.ts';
import type { AnswerMessage, LoadOrders, OrderMessage, OrderName } from './orders.ts';
import { loadRequests } from './request-load.ts';
import { WatchLatency } from './watch-latency.ts';

/* The load process: does what the bench tells it to, until the bench is gone. */

const listeners = new Listeners();
const failover = new FailoverClients();
const latency = new WatchLatency();

type Handlers = { readonly [Name in OrderName]: (input: Parameters<LoadOrders[Name]>[0]) => unknown };

const HANDLERS: Handlers = {
  requests: loadRequests,
  open: async (input) => listeners.open(input),
  send: ({ request }) => listeners.send(request),
  change: async (input) => listeners.change(input),
  watch: async (input) => latency.open(input),
  watchedPuts: async (input) => latency.measure(input),
  failoverOpen: async (input) => failover.open(input),
  failoverState: () => failover.state(),
  failoverResult: async ({ last, lostAt, withinMs }) => failover.result(last, lostAt, withinMs),
};

process.on('disconnect', () => process.exit());
process.on('message', ({ id, name, input }: OrderMessage) => {
  void answer(id, async () => (HANDLERS[name] as (input: unknown) => unknown)(input));
});
process.send?.('ready');

async function answer(id: number, work: () => Promise<unknown>): Promise<void> {
  let message: AnswerMessage;
  try {
    message = { id, output: await work() };
  } catch (error) {
    message = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(message);
}
