import { Agent, request } from 'node:http';

/** What a node answered. */
export interface NodeAnswer<Body> {
  readonly status: number;
  header(name: string): string | undefined;
  /** The body as JSON; an empty one is told as an empty object. */
  readonly body: Body;
}

/** Everything a test reads from an answer, none of it certain to be there. */
export interface AnyBody {
  readonly key?: string;
  readonly value?: unknown;
  readonly version?: number;
  readonly etag?: string;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly code?: string;
  readonly reason?: string;
  readonly committed?: boolean;
  readonly cursor?: string;
  readonly revision?: number;
  readonly next?: string;
  readonly state?: string;
}

export interface CallInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

// Thousands of short calls: a connection for each would cost more than the call.
const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** One request to the node at `url`. */
export async function callNode<Body = AnyBody>(
  url: string,
  path: string,
  { method = 'GET', headers = {}, body, signal }: CallInit = {},
): Promise<NodeAnswer<Body>> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url + path, {
      agent,
      method,
      headers: { ...headers, ...(body !== undefined && { 'Content-Length': Buffer.byteLength(body) }) },
      ...(signal && { signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = response.headers['content-type']?.includes('json') === true;
        resolve({
          status: response.statusCode ?? 0,
          header: (name) => response.headers[name.toLowerCase()]?.toString(),
          body: (text !== '' && isJson ? JSON.parse(text) : {}) as Body,
        });
      });
    });
    outgoing.end(body);
  });
}

export const pathOf = (key: string): string => `/api/v1/configs/${key.split('/').map(encodeURIComponent).join('/')}`;
