import { UnauthenticatedError } from '../core/errors.ts';
import { linkAbort } from './abort-link.ts';
import { failureOf, isFailure, refusedOf, type Failure } from './transport-failure.ts';
import type { Incoming, Outgoing, Transport } from './transport.ts';

/**
 * Sends a request and reads its answer. A read asks the next server when one cannot be reached or does not answer, and a single server
 * once more when the connection broke; a write leaves at most once: the next server is asked only if the connection was refused.
 * @throws {UnavailableError} no server could be asked; a write was certainly not applied.
 * @throws {OutcomeUnknownError} a write was sent and nothing sensible came back.
 * @throws {ProtocolError} a read was answered with something that is neither Attune's answer nor its problem document.
 * @throws {AttuneError} what the server's problem document says.
 * @throws the reason of `signal`, for a read.
 */
export async function sendRequest(transport: Transport, request: Outgoing): Promise<Incoming> {
  request.signal?.throwIfAborted();
  const headers = await headersInTime(transport, request);
  const { urls, clock } = transport;
  // Counted from where it began: calls at the same time must not push each other past a server.
  const first = transport.current;
  let end = first + urls.length;
  for (let index = first; ; index++) {
    const received = await receive(transport, transport.urlAt(index), request, headers);
    const outcome = isFailure(received) || isSuccess(received) ? received : refusedOf(received, request, clock.now());
    if (isFailure(outcome) && outcome.isBroken && urls.length === 1) end = first + 2;
    if (isFailure(outcome) && outcome.mayAskAnother && index + 1 < end) continue;
    transport.current = index % urls.length;
    if (isFailure(outcome)) throw outcome.error;
    return outcome;
  }
}

/** @throws {UnauthenticatedError} the token function takes too long; nothing was sent. @throws what {@link Transport.headersOf} throws. */
async function headersInTime(transport: Transport, request: Outgoing): Promise<Headers> {
  const link = linkAbort(request.signal, transport.clock);
  link.expireAfter(request.timeoutMs);
  try {
    return await link.race(transport.headersOf(request));
  } catch (error) {
    if (!link.expired) throw error;
    throw new UnauthenticatedError(`the 'token' function gave none within ${request.timeoutMs} ms, so nothing was sent`);
  } finally {
    link.release();
  }
}

async function receive(transport: Transport, base: string, request: Outgoing, headers: Headers): Promise<Incoming | Failure> {
  const link = linkAbort(request.signal, transport.clock);
  link.expireAfter(request.timeoutMs);
  try {
    const response = await link.race(transport.fetch(base, request, headers, link.signal));
    const bytes = new Uint8Array(await link.race(response.arrayBuffer()));
    return { server: base, status: response.status, headers: response.headers, bytes };
  } catch (error) {
    return failureOf(error, base, request, link);
  } finally {
    link.release();
  }
}

const isSuccess = ({ status }: Incoming): boolean => status >= 200 && status < 300;
