/**
 * JSON as text. Values are stored and answered verbatim, so that a number such as 9007199254740993 reaches every reader as it
 * was written; what must be known about a text (its members, its canonical form, whether every reader would understand it
 * alike) is read off the text itself.
 */

/** Nesting allowed in a value; deeper texts overflow the stack of common readers. */
export const MAX_JSON_DEPTH = 200;

type JsonNode =
  | { readonly kind: 'object'; readonly start: number; readonly end: number; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly start: number; readonly end: number; readonly elements: readonly JsonNode[] }
  | { readonly kind: 'string' | 'number' | 'literal'; readonly start: number; readonly end: number };

interface JsonMember {
  readonly name: string;
  /** The name as it is written, quotes included. */
  readonly token: string;
  readonly value: JsonNode;
}

/** Why a text is refused as JSON, and where: `pointer` is an RFC 6901 pointer into the text. */
export interface JsonProblem {
  readonly pointer: string;
  readonly detail: string;
}

export type JsonCheck =
  | { readonly ok: true; readonly members?: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly problem: JsonProblem };

/**
 * Checks that `text` is I-JSON (RFC 7493) in what matters for being read alike everywhere: it parses, no member name twice, no
 * half surrogate pair, no number beyond a double's range, nesting of at most {@link MAX_JSON_DEPTH}. For an object `members` holds
 * each top-level member's text as written.
 */
export function checkJson(text: string): JsonCheck {
  try {
    JSON.parse(text);
  } catch (error) {
    return { ok: false, problem: { pointer: '', detail: `not JSON: ${(error as SyntaxError).message}` } };
  }
  const scanned = scan(text);
  if (!scanned) return { ok: false, problem: { pointer: '', detail: `nested deeper than ${MAX_JSON_DEPTH} levels` } };
  const problem = findProblem(text, scanned, '');
  if (problem) return { ok: false, problem };
  if (scanned.kind !== 'object') return { ok: true };
  return { ok: true, members: new Map(scanned.members.map((member) => [member.name, text.slice(member.value.start, member.value.end)])) };
}

/**
 * The canonical form of a text that parses as JSON (RFC 8785): equal for texts that differ in white space, order of members or spelling
 * of numbers and strings only. A number that a double cannot hold keeps all its digits, so that no change of one is lost.
 * A text nested too deep is its own canonical form.
 */
export function canonicalJson(text: string): string {
  const node = scan(text);
  return node ? canonicalNode(text, node) : text;
}

/** The text on one line: valid JSON has line breaks only between tokens, where a space means the same. */
export function singleLineJson(text: string): string {
  // White space before a line break is left to stand: a pattern that began with it would try every space of a long run anew.
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n][ \t\r\n]*/g, ' ').trim() : text;
}

/** The text indented by two spaces, its tokens as they were written. A text nested too deep is left alone. */
export function prettyJson(text: string): string {
  const node = scan(text);
  return node ? prettyNode(text, node, '') : text;
}

function prettyNode(text: string, node: JsonNode, indent: string): string {
  if (node.kind !== 'object' && node.kind !== 'array') return text.slice(node.start, node.end);
  const deeper = `${indent}  `;
  const lines =
    node.kind === 'object'
      ? node.members.map(({ token, value }) => `${deeper}${token}: ${prettyNode(text, value, deeper)}`)
      : node.elements.map((element) => deeper + prettyNode(text, element, deeper));
  const [open, close] = node.kind === 'object' ? ['{', '}'] : ['[', ']'];
  return lines.length === 0 ? open + close : `${open}\n${lines.join(',\n')}\n${indent}${close}`;
}

function findProblem(text: string, node: JsonNode, pointer: string): JsonProblem | undefined {
  switch (node.kind) {
    case 'object': {
      const seen = new Set<string>();
      for (const { name, value } of node.members) {
        const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        if (seen.has(name)) return { pointer: at, detail: 'this member name stands twice in one object' };
        seen.add(name);
        if (!isWellFormed(name)) return { pointer, detail: 'a member name holds half a surrogate pair' };
        const problem = findProblem(text, value, at);
        if (problem) return problem;
      }
      return undefined;
    }
    case 'array':
      for (const [index, element] of node.elements.entries()) {
        const problem = findProblem(text, element, `${pointer}/${index}`);
        if (problem) return problem;
      }
      return undefined;
    case 'string':
      return isWellFormed(stringAt(text, node)) ? undefined : { pointer, detail: 'the string holds half a surrogate pair' };
    case 'number':
      return Number.isFinite(Number(text.slice(node.start, node.end)))
        ? undefined
        : {
            pointer,
            detail: `${text.slice(node.start, Math.min(node.end, node.start + 40))} is beyond the range of a number; send it as a string`,
          };
    case 'literal':
      return undefined;
  }
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const isWellFormed = (text: string): boolean => !LONE_SURROGATE.test(text);

const stringAt = (text: string, node: { readonly start: number; readonly end: number }): string =>
  JSON.parse(text.slice(node.start, node.end)) as string;

function canonicalNode(text: string, node: JsonNode): string {
  switch (node.kind) {
    case 'object': {
      const members = [...node.members].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
      return `{${members.map(({ name, value }) => `${JSON.stringify(name)}:${canonicalNode(text, value)}`).join(',')}}`;
    }
    case 'array':
      return `[${node.elements.map((element) => canonicalNode(text, element)).join(',')}]`;
    case 'string':
      return JSON.stringify(stringAt(text, node));
    case 'number':
      return canonicalNumber(text.slice(node.start, node.end));
    case 'literal':
      return text.slice(node.start, node.end);
  }
}

function canonicalNumber(token: string): string {
  const shortest = JSON.stringify(Number(token));
  const digits = decimalDigits(token);
  return shortest !== 'null' && decimalDigits(shortest) === digits ? shortest : digits;
}

/** A decimal number as sign, digits without outer zeros, and exponent: equal for equal numbers, exactly. */
function decimalDigits(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const all = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = withoutTrailingZeros(all);
  if (significant === '') return '0';
  return `${sign}${significant}e${BigInt(exponent) - BigInt(fraction.length) + BigInt(all.length - significant.length)}`;
}

/** By hand: `/0+$/` takes time in the square of a long run of zeros that is not the last one. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charAt(end - 1) === '0') end--;
  return digits.slice(0, end);
}

/** The structure of a text already known to parse; undefined if it is nested too deep. */
function scan(text: string): JsonNode | undefined {
  let at = 0;
  const skipSpace = (): void => {
    while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++;
  };
  const skipString = (): void => {
    at++;
    while (text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
    at++;
  };
  const value = (depth: number): JsonNode | undefined => {
    skipSpace();
    const start = at;
    const first = text.charAt(at);
    if (first === '"') {
      skipString();
      return { kind: 'string', start, end: at };
    }
    if (first !== '{' && first !== '[') {
      while (at < text.length && !' \t\r\n,]}'.includes(text.charAt(at))) at++;
      return { kind: /[-\d]/.test(first) ? 'number' : 'literal', start, end: at };
    }
    if (depth === MAX_JSON_DEPTH) return undefined;
    at++;
    const members: JsonMember[] = [];
    const elements: JsonNode[] = [];
    for (skipSpace(); !'}]'.includes(text.charAt(at)); skipSpace()) {
      if (text.charAt(at) === ',') {
        at++;
        skipSpace();
      }
      const nameStart = at;
      if (first === '{') skipString();
      const token = text.slice(nameStart, at);
      if (first === '{') at = text.indexOf(':', at) + 1;
      const child = value(depth + 1);
      if (!child) return undefined;
      if (first === '{') members.push({ name: JSON.parse(token) as string, token, value: child });
      else elements.push(child);
    }
    at++;
    return first === '{' ? { kind: 'object', start, end: at, members } : { kind: 'array', start, end: at, elements };
  };
  return value(0);
}
