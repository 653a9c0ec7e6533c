import { parse as parseToml, TomlError } from 'smol-toml';
import { BYTES_TYPE, inferContentType, isTextType, isTomlType, isYamlType, JSON_TYPE } from '../../core/content.ts';
import { AttuneError } from '../../core/errors.ts';
import type { Metadata } from '../../core/item.ts';
import { checkJson } from '../../core/json-text.ts';
import type { ItemState } from './item-state.ts';
import { renderValue } from './render-item.ts';
import { findYamlProblem } from './yaml-syntax.ts';

/** What a PUT carries, as its Content-Type told. What is stored may depend on the item that is there. */
export type WriteBody =
  /** `valueText` is the value's JSON text as written. A field left out is kept. */
  | {
      readonly form: 'envelope';
      readonly valueText?: string | undefined;
      readonly contentType?: string | undefined;
      readonly metadata?: Metadata | undefined;
      readonly comment?: string | undefined;
    }
  | { readonly form: 'json'; readonly text: string }
  | { readonly form: 'text'; readonly text: string; readonly contentType: string }
  /** A body without a Content-Type (`curl -T`). */
  | { readonly form: 'untyped'; readonly text: string };

/** What is to be stored. */
export interface Content {
  readonly contentType: string;
  /** The value's text; undefined keeps the bytes that are there. */
  readonly text: string | undefined;
}

/**
 * What `body` stores over `current` (`design/http.md`, "What PUT stores").
 * @throws {AttuneError} INVALID_BODY, with a pointer into the body or a line and column.
 */
export function resolveContent(body: WriteBody, current: ItemState | undefined): Content {
  switch (body.form) {
    case 'envelope':
      return resolveEnvelope(body, current);
    case 'json':
      return { contentType: JSON_TYPE, text: requireJson(body.text, '') };
    case 'text':
      return requireSyntax(body.contentType, body.text);
    case 'untyped': {
      const own = current && current.kind !== 'bytes' ? current.contentType : inferContentType(body.text);
      if (own !== JSON_TYPE) return requireSyntax(own, body.text);
      const hint = current ? `; the item is ${JSON_TYPE}: send a Content-Type (text/plain, say) to change that` : '';
      return { contentType: JSON_TYPE, text: requireJson(body.text, hint) };
    }
  }
}

function resolveEnvelope(body: WriteBody & { form: 'envelope' }, current: ItemState | undefined): Content {
  if (body.valueText === undefined) {
    if (!current) throw invalidBody('/value', 'is required: there is no such key yet');
    if (body.contentType === undefined || body.contentType === current.contentType)
      return { contentType: current.contentType, text: undefined };
  }
  const valueText = body.valueText ?? (current ? renderValue(current) : 'null');
  const isString = valueText.trimStart().startsWith('"');
  const kept = isString && current?.kind === 'text' ? current.contentType : JSON_TYPE;
  const contentType = body.contentType ?? kept;
  if (contentType === JSON_TYPE) return { contentType, text: valueText };
  if (!isTextType(contentType)) {
    const reason =
      contentType === BYTES_TYPE ? 'bytes that are not text cannot be written here' : `is neither ${JSON_TYPE} nor a text type`;
    throw invalidBody('/contentType', `'${contentType}' ${reason}`);
  }
  if (!isString) throw invalidBody('/value', `must be a string to be stored as ${contentType}`);
  return requireSyntax(contentType, JSON.parse(valueText) as string);
}

/** The text, if it is JSON that every reader understands alike. */
export function requireJson(text: string, hint: string): string {
  const check = checkJson(text);
  if (!check.ok) throw invalidBody(check.problem.pointer, check.problem.detail + hint);
  return text.trim();
}

function requireSyntax(contentType: string, text: string): Content {
  if (isYamlType(contentType)) {
    const problem = findYamlProblem(text);
    if (problem) throw invalidSyntax('YAML', problem.detail, problem.line, problem.column);
  }
  if (isTomlType(contentType)) {
    try {
      parseToml(text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      throw invalidSyntax('TOML', error.message.split('\n')[0] ?? error.message, error.line, error.column);
    }
  }
  return { contentType, text };
}

function invalidSyntax(language: string, message: string, line: number | undefined, column: number | undefined): AttuneError {
  const where = line === undefined ? '' : ` at line ${line}, column ${column}`;
  const detail = `the body is not ${language}${message.includes('line') ? '' : where}: ${message.replace(/:$/, '')}`;
  return new AttuneError('INVALID_BODY', detail, { details: { errors: [{ pointer: '', detail: message }], line, column } });
}

function invalidBody(pointer: string, detail: string): AttuneError {
  return new AttuneError('INVALID_BODY', `invalid body${pointer === '' ? '' : ` at ${pointer}`}: ${detail}`, {
    details: { errors: [{ pointer, detail }] },
  });
}
