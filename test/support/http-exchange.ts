import { connect, type Socket } from 'node:net';

/** A request as it goes over the wire: nothing is encoded, normalised or added but Host, Connection and Content-Length. */
export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  /** A name given twice is sent twice; null leaves a default out. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly body?: string | Uint8Array;
}

export interface Answer {
  readonly status: number;
  /** Lower-case names; values of a repeated header joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON. Throws if it is none. */
  json(): any; // oxlint-disable-line typescript/no-explicit-any
  header(name: string): string | undefined;
}

const ANSWER_MS = 15_000;

/** Sends one request on a connection of its own and reads until the server closes it. */
export async function exchange(port: number, request: RawRequest): Promise<Answer> {
  return parseAnswer(await sendBytes(port, encodeRequest(port, request)), request.method ?? 'GET');
}

export function encodeRequest(port: number, { method = 'GET', path, headers = {}, body }: RawRequest): Buffer {
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const all: Record<string, string | readonly string[] | null> = {
    Host: `127.0.0.1:${port}`,
    Connection: 'close',
    ...(bytes && { 'Content-Length': String(bytes.byteLength) }),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => {
    if (value === null) return [];
    return (typeof value === 'string' ? [value] : value).map((one) => `${name}: ${one}\r\n`);
  });
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), bytes ?? Buffer.alloc(0)]);
}

/** Sends bytes as they are and resolves with everything that came back until the server closed, at most 15 s later. */
export async function sendBytes(port: number, bytes: Uint8Array | string, options: { readonly halfClose?: boolean } = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer within ${ANSWER_MS} ms; so far: ${Buffer.concat(chunks).toString('latin1').slice(0, 500)}`));
    }, ANSWER_MS);
    socket.on('connect', () => (options.halfClose ? socket.end(bytes) : socket.write(bytes)));
    socket.on('data', (chunk) => chunks.push(chunk));
    // A server that answers before it has read everything may reset the connection; what it said counts.
    socket.on('error', (error) => chunks.length === 0 && reject(error));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
  });
}

/** Parses what one connection answered: a single answer whose length agrees with its header. */
export function parseAnswer(bytes: Buffer, method: string): Answer {
  const end = bytes.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = bytes.subarray(0, Math.max(end, 0)).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  if (!status) throw new Error(`not an HTTP answer: ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`);
  if (status === 100) return parseAnswer(bytes.subarray(end + 4), method);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunk(bytes.subarray(end + 4)) : bytes.subarray(end + 4);
  const length = headers.get('content-length');
  const isBodyless = method === 'HEAD' || status === 204 || status === 304;
  const expected = isBodyless ? 0 : length === undefined ? body.byteLength : Number(length);
  if (body.byteLength !== expected)
    throw new Error(`${method} answered ${status} with ${body.byteLength} bytes of body, ${expected} are right`);
  const text = body.toString('utf8');
  return { status, headers, body, text, json: () => JSON.parse(text), header: (name) => headers.get(name.toLowerCase()) };
}

function unchunk(bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.subarray(at, end).toString('latin1'), 16);
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(chunks);
}
