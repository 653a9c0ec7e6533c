/**
 * What a page can try: sources of async function bodies that run in the page, with `base` (the service), `key(name)` (URL of an item) in
 * scope. Nothing here knows whether it should succeed.
 */

/** Each resolves with what the page has learned of a value, or rejects. */
export const READS: Readonly<Record<string, string>> = {
  fetch: `return (await fetch(key('app/secret'))).text();`,
  'fetch, no-cors': `return (await fetch(key('app/secret'), { mode: 'no-cors' })).text();`,
  'fetch of the bare value': `return (await fetch(key('app/secret') + '?raw')).text();`,
  'fetch of a list': `return (await fetch(base + '/api/v1/configs?prefix=app/')).text();`,
  'fetch of the status': `return (await fetch(base + '/api/v1/status')).text();`,
  'fetch of a stream': `
    const reader = (await fetch(base + '/api/v1/watch?snapshot', { mode: 'no-cors' })).body?.getReader();
    if (!reader) throw new Error('no body');
    let text = '';
    for (let isOver = false; !isOver && !text.includes('synced'); ) {
      const { value, done } = await reader.read();
      isOver = done;
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    return text;`,
  XMLHttpRequest: `
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', key('app/secret'));
      request.onload = () => resolve(request.responseText);
      request.onerror = () => reject(new Error('refused'));
      request.send();
    });`,
  EventSource: `
    return new Promise((resolve, reject) => {
      const source = new EventSource(base + '/api/v1/watch?snapshot');
      const end = (settle) => (event) => { source.close(); settle(event.data ?? new Error('refused')); };
      source.addEventListener('snapshot', end(resolve));
      source.addEventListener('error', end(reject));
    });`,
  'long-poll': `return (await fetch(base + '/api/v1/configs?watch&prefix=app/&wait=1s', { headers: { Prefer: 'wait=1' } })).text();`,
  script: `
    delete window.stolen;
    await load(Object.assign(document.createElement('script'), { src: key('app/program') + '?raw' }));
    return window.stolen ?? '';`,
  'module script': `return (await import(key('app/module') + '?raw')).default;`,
  stylesheet: `
    await load(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: key('app/style') + '?raw' }));
    return getComputedStyle(document.body).getPropertyValue('--stolen');`,
  frame: `
    const frame = await load(Object.assign(document.createElement('iframe'), { src: key('app/secret') }));
    return frame.contentDocument.body.textContent;`,
};

/** Each would learn something if a browser made a picture, a sound or an object of a value; it does not, of no value there can be. */
export const PROBES: Readonly<Record<string, string>> = {
  image: `return (await load(Object.assign(document.createElement('img'), { src: key('app/picture') + '?raw' }))).naturalWidth;`,
  object: `
    const element = await load(Object.assign(document.createElement('object'), { data: key('app/secret') + '?raw' }));
    return element.contentDocument?.body?.textContent ?? '';`,
};

/** Each changes what is stored, if it can. */
export const WRITES: Readonly<Record<string, string>> = {
  'PUT of an envelope': `await fetch(key('app/secret'), { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{"value":"envelope"}' });`,
  'PUT of text, a simple type': `await fetch(key('app/secret'), { method: 'PUT', headers: { 'Content-Type': 'text/plain' }, body: 'owned' });`,
  'PUT as a form, a simple type': `await fetch(key('app/secret'), { method: 'PUT', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: '{"value":"form"}' });`,
  'PUT without a type': `await fetch(key('app/secret'), { method: 'PUT', body: new Uint8Array([34, 120, 34]) });`,
  'PUT with credentials': `await fetch(key('app/secret'), { method: 'PUT', credentials: 'include', headers: { 'Content-Type': 'text/plain' }, body: 'with credentials' });`,
  'PUT kept alive beyond the page': `await fetch(key('app/secret'), { method: 'PUT', keepalive: true, headers: { 'Content-Type': 'text/plain' }, body: 'kept alive' });`,
  DELETE: `await fetch(key('app/secret'), { method: 'DELETE' });`,
  'PUT by XMLHttpRequest': `
    await new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open('PUT', key('app/secret'));
      request.setRequestHeader('Content-Type', 'text/plain');
      request.onloadend = resolve;
      request.send('owned');
    });`,
};

/** Each sends what no request of the API is, in the ways that need nobody's leave. */
export const POSTS: Readonly<Record<string, string>> = {
  'POST, no-cors, text': `await fetch(key('app/secret'), { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: '{"value":"owned"}' });`,
  'POST, no-cors, form': `await fetch(key('app/secret'), { method: 'POST', mode: 'no-cors', body: new URLSearchParams({ value: 'owned' }) });`,
  'POST that claims to be a PUT': `await fetch(key('app/secret') + '?_method=PUT', { method: 'POST', mode: 'no-cors', body: '{"value":"owned"}' });`,
  beacon: `navigator.sendBeacon(key('app/secret'), '{"value":"owned"}');`,
  'form, url-encoded': `await submit('POST', 'application/x-www-form-urlencoded');`,
  'form, multipart': `await submit('POST', 'multipart/form-data');`,
  'form, text': `await submit('POST', 'text/plain');`,
};

/** What the sources may use. */
export const PRELUDE = `
  const key = (name) => base + '/api/v1/configs/' + name;
  const load = (element) => new Promise((resolve, reject) => {
    element.addEventListener('load', () => resolve(element));
    element.addEventListener('error', () => reject(new Error('refused')));
    document.body.append(element);
  });
  const submit = (method, enctype) => {
    const frame = Object.assign(document.createElement('iframe'), { name: 'target-' + Math.random() });
    const form = Object.assign(document.createElement('form'), { method, enctype, action: key('app/secret'), target: frame.name });
    form.append(Object.assign(document.createElement('input'), { name: '{"value":"owned","metadata":{"a":"', value: '"}}' }));
    document.body.append(frame, form);
    return new Promise((resolve) => {
      frame.addEventListener('load', resolve);
      form.submit();
    });
  };
`;
