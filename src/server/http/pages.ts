import { PROBLEMS } from './problem.ts';

/** The first minute, as `GET /` tells it: five commands to try. */
export function tryCommands(base: string): readonly { readonly what: string; readonly command: string }[] {
  return [
    { what: 'watch', command: `curl -N '${base}/api/v1/watch?prefix=app/'` },
    { what: 'write', command: `curl -X PUT ${base}/api/v1/configs/app/pool-size -d '{"value":20}'` },
    { what: 'read', command: `curl '${base}/api/v1/configs/app/pool-size?raw'` },
    { what: 'list', command: `curl '${base}/api/v1/configs?prefix=app/&pretty'` },
    { what: 'delete', command: `curl -X DELETE ${base}/api/v1/configs/app/pool-size` },
  ];
}

export function homeText(version: string, base: string): string {
  const lines = tryCommands(base).map(({ what, command }) => `  ${what.padEnd(7)} ${command}`);
  return `attune ${version}\n\n${lines.join('\n')}\n\nstatus: ${base}/api/v1/status   metrics: ${base}/metrics   errors: ${base}/docs/errors\n`;
}

export function homePage(version: string, base: string): string {
  const rows = tryCommands(base).map(({ what, command }) => `<dt>${escape(what)}</dt><dd><code>${escape(command)}</code></dd>`);
  return page(
    'Attune',
    `<h1>Attune <small>${escape(version)}</small></h1><p>A configuration service: change a key, every watching process sees it.</p><dl>${rows.join('')}</dl>` +
      '<p><a href="/api/v1/status?pretty">status</a> · <a href="/metrics">metrics</a> · <a href="/docs/errors">errors</a></p>',
  );
}

/** What `type` in a problem document points to. */
export function errorsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, meaning, advice }]) =>
      `<h2 id="${code}">${code} <small>${status}</small></h2><p>${escape(meaning)}</p><p>${escape(advice)}</p>`,
  );
  return page('Attune errors', `<h1>Errors</h1>${rows.join('')}`);
}

function page(title: string, body: string): string {
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title><meta name="viewport" content="width=device-width">` +
    '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}code{background:#8882;padding:.1rem .3rem;overflow-wrap:anywhere}small{color:#888}dt{font-weight:600}</style>' +
    `</head><body>${body}</body></html>\n`
  );
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
