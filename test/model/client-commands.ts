import fc from 'fast-check';
import { expect } from 'vitest';
import { NAMESPACE, until, type Cluster } from '../support/cluster.ts';
import type { FaultyFront, FrameFault } from '../support/faulty-front.ts';
import { OVERRIDDEN, valueOfContent } from '../support/judge-client.ts';
import type { RecordedClient } from '../support/recorded-client.ts';
import { headOf, stateAt } from '../support/true-history.ts';

/** One run: nodes over one store, and clients behind fronts of their own. */
export interface ClientRun {
  readonly cluster: Cluster;
  readonly clients: readonly RecordedClient[];
  readonly prefixes: readonly string[];
}

/** Something somebody does to a run. Printed, with its seed, where a run fails. */
export interface ClientStep {
  readonly text: string;
  readonly run: (run: ClientRun) => Promise<void>;
}

const KEYS = ['a/1', 'a/2', 'a/10', 'b/x', 'b/ü €', 'c'] as const;
const SETTLE_MS = 10_000;

const anyKey = fc.constantFrom(...KEYS);
const anyPlace = fc.nat({ max: 3 });
const anyValue = fc.oneof(
  fc.constantFrom<unknown>('same', 'same', 1, true, null, '', 'text', 'line\nfeed\u2028', { x: 1, y: [2] }, []),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
);

/** What a turn of the event loop or a few, or a few milliseconds, bring. */
const moment = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

function clientAt({ clients }: ClientRun, place: number): RecordedClient {
  const client = clients[place % clients.length];
  if (!client) throw new Error('the run has no client');
  return client;
}

const write = fc.record({ key: anyKey, value: anyValue, place: anyPlace }).map(({ key, value, place }): ClientStep => ({
  text: `put ${key} = ${JSON.stringify(value)}`,
  run: async ({ cluster }) => void (await cluster.write(cluster.nodeAt(place), { key, value })),
}));

const remove = fc.record({ key: anyKey, place: anyPlace }).map(({ key, place }): ClientStep => ({
  text: `delete ${key}`,
  run: async ({ cluster }) => void (await cluster.write(cluster.nodeAt(place), { key })),
}));

const outside = fc
  .dictionary(anyKey, fc.constantFrom('{"o":1}', '[1,2]', '42', '007', 'plain text', '"quoted"', 'null', '', null), {
    minKeys: 1,
    maxKeys: 4,
  })
  .map((values): ClientStep => ({
    text: `outside ${JSON.stringify(values)}`,
    run: async ({ cluster }) => void (await cluster.outside(values)),
  }));

/** More than a small window holds, if they are many. */
const burst = fc.record({ count: fc.integer({ min: 2, max: 14 }), key: anyKey }).map(({ count, key }): ClientStep => ({
  text: `${count} writes at once`,
  run: async ({ cluster }) => {
    for (let index = 0; index < count; index++) {
      const other = KEYS[index % KEYS.length] ?? key;
      await cluster.outside({ [index % 3 === 0 ? key : other]: index % 5 === 4 ? null : JSON.stringify(`burst ${Math.floor(index / 2)}`) });
    }
  },
}));

const own = fc.record({ key: anyKey, place: anyPlace, number: fc.nat() }).map(({ key, place, number }): ClientStep => ({
  text: `client ${place} sets ${key}`,
  run: async (run) => {
    if (!run.prefixes.some((prefix) => key.startsWith(prefix))) return;
    const client = clientAt(run, place);
    const value = `own ${number} ${client.errors.length} ${run.cluster.store.position.revision}`;
    await client.set(key, value);
  },
}));

/** The server's value of the same key moves on underneath, now and then. */
const cover = fc
  .record({
    place: anyPlace,
    value: fc.option(fc.constantFrom('of an operator', 'of another')),
    below: fc.constantFrom(null, '1', '2', undefined),
  })
  .map(({ place, value, below }): ClientStep => ({
    text: `${value === null ? 'uncover' : `cover with '${value}'`} at client ${place}, below ${below}`,
    run: async (run) => {
      clientAt(run, place).cover(value ?? undefined);
      if (below !== undefined) await run.cluster.outside({ [OVERRIDDEN]: below });
    },
  }));

const front = (text: string, act: (front: FaultyFront, client: RecordedClient) => Promise<void> | void): fc.Arbitrary<ClientStep> =>
  fc.record({ place: anyPlace, isEach: fc.boolean() }).map(({ place, isEach }) => ({
    text: `${text} client ${place}${isEach ? ', each of its fronts' : ''}`,
    run: async (run) => {
      const client = clientAt(run, place);
      for (const one of isEach ? client.fronts : client.fronts.slice(place % client.fronts.length).slice(0, 1)) await act(one, client);
    },
  }));

const spoil = fc
  .record({
    place: anyPlace,
    faults: fc.array(fc.constantFrom<FrameFault>('twice', 'late again', 'mangled', 'truncated', 'torn', 'after an unknown one'), {
      minLength: 1,
      maxLength: 3,
    }),
  })
  .map(({ place, faults }): ClientStep => ({
    text: `frames to client ${place}: ${faults.join(', ')}`,
    run: async (run) => {
      for (const one of clientAt(run, place).fronts) for (const fault of faults) one.spoil(fault);
      // Otherwise a run may end before there is a frame to spoil.
      for (const fault of faults)
        await run.cluster.outside({ 'a/1': JSON.stringify(`to be ${fault}`), 'b/x': JSON.stringify(`${fault} too`) });
      await moment(5);
    },
  }));

const cut = front('cut', (one) => one.cut());
const cutSnapshot = front('cut within the next snapshot to', (one) => {
  one.cutsSnapshot = true;
  one.cut();
});
const stall = front('stall', (one) => one.stall());
const resume = front('resume', (one) => one.resume());
const down = front('refuse', async (one) => one.down());
const up = front('accept again', async (one) => one.up());

/** Three streams in a row bring nothing, so that it polls. */
const buffer = anyPlace.map((place): ClientStep => ({
  text: `hold streams back from client ${place} until it polls`,
  run: async (run) => {
    const client = clientAt(run, place);
    for (const one of client.fronts) {
      await one.heal();
      one.isBuffering = true;
      one.cut();
    }
    const { requests } = client.ledger;
    const known = requests.length;
    // Connecting is given 10 s, and the server's `retry` up to 5 s.
    for (let tries = 0; tries < 200 && !requests.slice(known).some(({ kind }) => kind !== 'stream'); tries++) {
      await moment(2);
      client.clock.pass(1_000);
    }
    await moment(5);
  },
}));

/** A stream is tried again five minutes after polling began, when something was told. */
const unbuffer = fc.record({ place: anyPlace, isLong: fc.boolean() }).map(({ place, isLong }): ClientStep => ({
  text: `let streams pass to client ${place}${isLong ? ', and five minutes' : ''}`,
  run: async (run) => {
    const client = clientAt(run, place);
    for (const one of client.fronts) one.isBuffering = false;
    if (isLong) client.clock.pass(300_000);
    await run.cluster.outside({ 'a/2': JSON.stringify(`after ${client.ledger.requests.length} requests`) });
    await moment(5);
  },
}));

const pass = fc.record({ place: anyPlace, seconds: fc.constantFrom(1, 5, 11, 46, 61, 301) }).map(({ place, seconds }): ClientStep => ({
  text: `${seconds} s pass for client ${place}`,
  run: async (run) => {
    clientAt(run, place).clock.pass(seconds * 1_000);
    await moment(3);
  },
}));

const wait = fc.integer({ min: 0, max: 10 }).map((milliseconds): ClientStep => ({
  text: `${milliseconds} ms`,
  run: () => moment(milliseconds),
}));

const restart = fc.record({ place: anyPlace, isSudden: fc.boolean() }).map(({ place, isSudden }): ClientStep => ({
  text: `${isSudden ? 'sudden ' : ''}restart of node ${place}`,
  run: async ({ cluster, clients }) => {
    const node = cluster.nodeAt(place);
    const before = node.server.url;
    if (isSudden) for (const { fronts } of clients) for (const one of fronts) one.cut();
    await cluster.restart(node);
    // It is back at the same address, as far as a client can see.
    for (const { fronts } of clients) for (const one of fronts) one.replace(before, node.server.url);
  },
}));

const switchNode = fc.record({ place: anyPlace, node: anyPlace }).map(({ place, node }): ClientStep => ({
  text: `client ${place} is led to node ${node}`,
  run: async (run) => {
    for (const one of clientAt(run, place).fronts) {
      one.aimAt(run.cluster.nodeAt(node).server.url);
      one.cut();
    }
    await moment(2);
  },
}));

/** While it is away more happens than a small window holds. */
const away = anyPlace.map((place): ClientStep => ({
  text: `client ${place} is away for 12 writes`,
  run: async (run) => {
    const { fronts } = clientAt(run, place);
    for (const one of fronts) await one.down();
    for (let index = 0; index < 12; index++) await run.cluster.outside({ [KEYS[index % 5] ?? 'c']: index % 4 === 3 ? null : `${index}` });
    for (const one of fronts) await one.up();
  },
}));

const catchUp: fc.Arbitrary<ClientStep> = fc.constant({ text: 'heal', run: async (run) => void (await healClients(run)) });

/**
 * Not while a client holds a write of its own that no stream has told it of: it would keep what the store no longer has, a failure that is
 * known and shown by test/http/client-restored.test.ts.
 */
const rollBack = fc.nat({ max: 100 }).map((part): ClientStep => ({
  text: `roll the store back to ${part} %`,
  run: async ({ cluster }) => {
    await cluster.store.rollBack(Math.floor((cluster.store.position.revision * part) / 100));
    await Promise.all(cluster.nodes.map((node) => cluster.caughtUp(node)));
  },
}));

/** What is true now, as JSON texts; asked often, and told anew only where the store has moved. */
function truthOf(cluster: Cluster, prefixes: readonly string[]): () => ReadonlyMap<string, string> {
  let place = '';
  let truth: ReadonlyMap<string, string> = new Map();
  return () => {
    const { history, revision } = cluster.store.position;
    if (place === `${history} ${revision}`) return truth;
    place = `${history} ${revision}`;
    const newest = cluster.store.histories(NAMESPACE).at(-1);
    const items = newest ? stateAt(newest, headOf(newest), { keys: [], prefixes }) : [];
    truth = new Map([...items].map(([key, { content }]) => [key, valueOfContent(content)]));
    return truth;
  };
}

/** True if every client comes to be live and equal to the store. */
async function converge({ cluster, clients, prefixes }: ClientRun): Promise<boolean> {
  const truth = truthOf(cluster, prefixes);
  const isThere = (client: RecordedClient): boolean => {
    // Polls are asked for by the clock: what waits for an answer that will not come gives up by it. Of a live client little is to pass,
    // lest it take a server that says nothing for dead.
    client.clock.pass(client.config.status.state === 'live' ? 2 : 100);
    return client.equals(truth());
  };
  return until('every client to equal the store', () => clients.every(isThere), SETTLE_MS).then(
    () => true,
    () => false,
  );
}

/** Everything works again, and every client has as long as that takes to be live and equal to the store. */
async function healClients(run: ClientRun): Promise<boolean> {
  const { cluster, clients } = run;
  await Promise.all(clients.flatMap(({ fronts }) => fronts.map(async (one) => one.heal())));
  await Promise.all(cluster.nodes.map((node) => cluster.caughtUp(node)));
  return converge(run);
}

let ends = 0;

/**
 * The end of a run: everything heals, every client equals the store without anything more being written, and has heard all there was to
 * hear. That shows by one last change, as values that are equal may be those of a change that was not told yet.
 */
export async function endRun(run: ClientRun): Promise<void> {
  expect(await healClients(run), 'clients equal the store, and are live, when everything works again').toBe(true);
  await run.cluster.outside({ 'a/1': JSON.stringify(`end ${++ends}`) });
  await converge(run);
}

const steps = [
  write,
  write,
  remove,
  outside,
  outside,
  burst,
  cover,
  own,
  cut,
  cut,
  cutSnapshot,
  stall,
  resume,
  down,
  up,
  spoil,
  spoil,
  buffer,
  unbuffer,
  unbuffer,
  pass,
  pass,
  wait,
  wait,
  restart,
  switchNode,
  away,
  catchUp,
  catchUp,
] as const;

/** Without writes of its own, so that each key's calls are its whole history. */
export const spectatorSteps: fc.Arbitrary<ClientStep> = fc.oneof(...steps.filter((step) => step !== own));

export const clientSteps: fc.Arbitrary<ClientStep> = fc.oneof(...steps);

/** The same, with another history now and then. */
export const restoredSteps: fc.Arbitrary<ClientStep> = fc.oneof(...steps, rollBack, rollBack);
