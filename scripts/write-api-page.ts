import { writeFileSync } from 'node:fs';

import { API_PAGE, formatApiPage } from './api-page.ts';

/* npm run docs:api: writes the reference of the client SDK, and names on stderr what has no doc comment. */

const undocumented: string[] = [];
writeFileSync(
  API_PAGE,
  formatApiPage((name) => undocumented.push(name)),
);
console.log(API_PAGE);
for (const name of undocumented) console.error(`no doc comment: ${name}`);
