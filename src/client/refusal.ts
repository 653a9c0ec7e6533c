import { AttuneError, ProtocolError, UnavailableError } from '../core/errors.ts';
import { mediaTypeOf } from './media-type.ts';
import { parseProblem } from './problem.ts';
import type { Incoming } from './transport.ts';

/** What an answer to a read means that is not 2xx: what the server's problem document says, or that no Attune server answered. */
export function refusalOf({ server, status, headers, bytes }: Incoming, now: number): AttuneError {
  const problem = parseProblem(tryParseJson(bytes), status, headers, now);
  if (problem) return problem;
  const type = mediaTypeOf(headers) || 'without a content type';
  const said = `${server} answered ${status} ${type}, not as an Attune server does`;
  const details = { url: server, status };
  // A proxy between us and the server: it may ask for credentials, or be alone.
  if (status === 401 || status === 403) return new AttuneError(status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED', said, { details });
  if (status >= 502 && status <= 504) return new UnavailableError(`cannot reach ${server}: ${said}`, { details });
  return new ProtocolError(`${said}; is this its URL?`, { details });
}

function tryParseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
