import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { isTextType, JSON_TYPE } from '../../core/content.ts';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { writeEnvelopeSchema } from '../../core/item-schema.ts';
import { checkJson } from '../../core/json-text.ts';
import { quoteForMessage } from '../../core/key.ts';
import type { ConfigService } from '../config-service.ts';
import { requireJson, type WriteBody } from '../store/write-body.ts';

const FORM_TYPE = 'application/x-www-form-urlencoded';
const BYTE_ORDER_MARK = '\ufeff';

/** Bytes of a body that are read at most. JSON escapes can triple a text; what is stored is checked exactly. */
export const maxBodyBytes = ({ limits }: ConfigService): number => limits.maxValueBytes * 3 + 64 * 1024;

/**
 * What the body of a PUT is, by its Content-Type (`design/http.md`, "What PUT stores").
 * @throws {AttuneError} INVALID_BODY, UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT
 */
export function parsePutBody(request: IncomingMessage, bytes: Buffer, isRaw: boolean): WriteBody {
  const header = request.headers['content-type'];
  const type = header === undefined ? undefined : parseMediaType(header);
  if (!isUtf8(bytes)) throw invalid('', 'the body is not UTF-8');
  const text = bytes.toString('utf8');
  if (type === undefined) {
    if (isRaw)
      throw new AttuneError('INVALID_ARGUMENT', 'raw says that the body is a bare JSON value; send Content-Type: application/json with it');
    return { form: 'untyped', text };
  }
  if (type === JSON_TYPE || type === FORM_TYPE) {
    const json = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
    if (json.trim() === '')
      throw invalid(
        '',
        isRaw ? 'the body is empty; a JSON value is expected' : 'the body is empty; an object such as {"value":20} is expected',
      );
    return isRaw ? { form: 'json', text: requireJson(json, '') } : parseEnvelope(json);
  }
  if (isRaw) throw new AttuneError('INVALID_ARGUMENT', `raw goes with ${JSON_TYPE}; the body is ${type}, which is stored as it is`);
  if (isTextType(type)) return { form: 'text', text, contentType: type };
  throw new AttuneError(
    'UNSUPPORTED_MEDIA_TYPE',
    `${quoteForMessage(type)} cannot be stored; send ${JSON_TYPE} or a text type such as text/plain or application/yaml`,
  );
}

function parseEnvelope(text: string): WriteBody {
  const check = checkJson(text);
  if (!check.ok) throw invalid(check.problem.pointer, check.problem.detail);
  if (!check.members) throw invalid('', 'an object such as {"value":20} is expected; to send a bare JSON value add ?raw');
  const parsed = writeEnvelopeSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    const errors = parsed.error.issues.map((issue) => ({
      pointer: issue.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
      detail:
        issue.code === 'unrecognized_keys'
          ? `unknown field ${issue.keys.map((key) => quoteForMessage(key)).join(', ')}; known are value, metadata, contentType, comment`
          : issue.code === 'invalid_key'
            ? (issue.issues[0]?.message ?? issue.message)
            : issue.message,
    }));
    const first = errors[0];
    throw new AttuneError(
      'INVALID_BODY',
      `invalid body${first?.pointer ? ` at ${first.pointer}` : ''}: ${first?.detail ?? 'it does not fit'}`,
      { details: { errors } },
    );
  }
  const { metadata, contentType, comment } = parsed.data;
  // Objects made from parsed names lose this one in silence.
  if (Object.hasOwn((JSON.parse(text) as { metadata?: object }).metadata ?? {}, '__proto__'))
    throw invalid('/metadata/__proto__', 'this name cannot be kept');
  return {
    form: 'envelope',
    valueText: check.members.get('value'),
    metadata,
    contentType: contentType === undefined ? undefined : parseFieldType(contentType),
    comment,
  };
}

/** A media type that stands in the body: what is wrong with it is wrong with the body. */
function parseFieldType(text: string): string {
  try {
    return parseMediaType(text);
  } catch (error) {
    throw isAttuneError(error) ? invalid('/contentType', error.message) : error;
  }
}

/** The media type, lower case, without parameters. Only UTF-8 is taken. */
function parseMediaType(header: string): string {
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim());
  const charset = parameters
    .map((parameter) => /^charset\s*=\s*"?([^"]*)"?$/i.exec(parameter)?.[1]?.toLowerCase())
    .find((found) => found !== undefined);
  if (charset !== undefined && !['utf-8', 'utf8', 'us-ascii'].includes(charset)) {
    throw new AttuneError('UNSUPPORTED_MEDIA_TYPE', `charset ${quoteForMessage(charset)} is not taken; send UTF-8`);
  }
  if (!/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(type))
    throw new AttuneError('UNSUPPORTED_MEDIA_TYPE', `Content-Type ${quoteForMessage(header)} is not a media type`);
  return type.toLowerCase();
}

function invalid(pointer: string, detail: string): AttuneError {
  return new AttuneError('INVALID_BODY', `invalid body${pointer === '' ? '' : ` at ${pointer}`}: ${detail}`, {
    details: { errors: [{ pointer, detail }] },
  });
}
