/** What a value is: JSON text, other text, or bytes that are not UTF-8. */
export type ContentKind = 'json' | 'text' | 'bytes';

export const JSON_TYPE = 'application/json';
export const TEXT_TYPE = 'text/plain';
export const BYTES_TYPE = 'application/octet-stream';

const TEXT_TYPES: ReadonlySet<string> = new Set([
  'application/yaml',
  'application/x-yaml',
  'application/toml',
  'application/xml',
  'application/javascript',
  'application/x-sh',
  'application/x-properties',
  'application/sql',
  'application/graphql',
  'application/x-pem-file',
]);

/** True for media types (without parameters, lower case) whose bodies are stored as the text they are. */
export function isTextType(mediaType: string): boolean {
  return /^text\/[\w.+-]+$/.test(mediaType) || TEXT_TYPES.has(mediaType) || /^application\/[\w.+-]+\+(?:xml|yaml|toml)$/.test(mediaType);
}

export const isYamlType = (mediaType: string): boolean => /[/+](?:x-)?yaml$/.test(mediaType);
export const isTomlType = (mediaType: string): boolean => /[/+](?:x-)?toml$/.test(mediaType);

/**
 * What a text without a declared type is, the same everywhere (values written by other tools, PUT without a Content-Type, `attune set`):
 * an object or array that parses is JSON; a scalar only if it is spelled as JSON spells it, so that `1.10`, `007`, `1e3` and
 * `9007199254740993` stay what was typed; all else is text.
 */
export function inferContentType(text: string): typeof JSON_TYPE | typeof TEXT_TYPE {
  try {
    // Not trimmed first: JavaScript trims a byte order mark and other spaces that JSON does not know.
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? JSON_TYPE : JSON.stringify(value) === text.trim() ? JSON_TYPE : TEXT_TYPE;
  } catch {
    return TEXT_TYPE;
  }
}
