/**
 * The members of a JSON object, or the elements of an array (named by position), each as the very text it was written in: a number such as
 * 9007199254740993 survives only there. `text` must be known to parse. Of a name that stands twice the last counts, as in `JSON.parse`.
 */
export function sliceJson(text: string): ReadonlyMap<string, string> {
  const slices = new Map<string, string>();
  const open = skipSpace(text, 0);
  const isObject = text.charAt(open) === '{';
  if (!isObject && text.charAt(open) !== '[') return slices;
  let at = skipSpace(text, open + 1);
  for (let index = 0; at < text.length && !isClosing(text.charAt(at)); index++) {
    let name = String(index);
    if (isObject) {
      const end = endOfValue(text, at);
      name = JSON.parse(text.slice(at, end)) as string;
      at = skipSpace(text, text.indexOf(':', end) + 1);
    }
    const end = endOfValue(text, at);
    slices.set(name, text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charAt(at) === ',') at = skipSpace(text, at + 1);
  }
  return slices;
}

const isClosing = (character: string): boolean => character === '}' || character === ']';

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++;
  return at;
}

/** Counts brackets instead of recursing, so that no depth is too deep. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    const character = text.charAt(at);
    if (character === '"') at = endOfString(text, at);
    else {
      if (character === '{' || character === '[') depth++;
      else if (isClosing(character)) depth--;
      at++;
    }
  } while (at < text.length && (depth > 0 || !endsScalar(text, at, from)));
  return at;
}

function endsScalar(text: string, at: number, from: number): boolean {
  return '"{['.includes(text.charAt(from)) || ' \t\r\n,]}'.includes(text.charAt(at));
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
  return at + 1;
}
