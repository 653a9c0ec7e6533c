import { describe, expect, it } from 'vitest';

import { sourcesForSuite } from '../../../scripts/debian-sources.ts';

describe('sourcesForSuite', () => {
  it('asks the hosts of the release for another suite, with their keys and components', () => {
    const text = [
      'Types: deb',
      '# a comment',
      'URIs: http://mirror.test/debian',
      'Suites: bookworm bookworm-updates',
      'Components: main contrib',
      'Signed-By: /keys/archive.gpg',
      '',
      'Types: deb',
      'URIs: http://mirror.test/debian-security',
      'Suites: bookworm-security',
      'Components: main',
      '',
    ].join('\n');
    expect(sourcesForSuite([{ format: 'sources', text }], 'bookworm', 'sid')).toEqual([
      {
        format: 'sources',
        text: 'Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: sid\nComponents: main contrib\nSigned-By: /keys/archive.gpg\n',
      },
    ]);
  });

  it('reads sources of one line too', () => {
    const text = [
      '# deb http://old.test/debian bookworm main',
      'deb [arch=amd64 signed-by=/keys/archive.gpg] http://mirror.test/debian bookworm main contrib',
      'deb-src http://mirror.test/debian bookworm main',
      'deb http://mirror.test/debian-security bookworm-security main',
    ].join('\n');
    expect(sourcesForSuite([{ format: 'list', text }], 'bookworm', 'bullseye')).toEqual([
      { format: 'list', text: 'deb [arch=amd64 signed-by=/keys/archive.gpg] http://mirror.test/debian bullseye main contrib\n' },
    ]);
  });

  it('recognises a release named by its class', () => {
    expect(sourcesForSuite([{ format: 'list', text: 'deb http://mirror.test/debian stable main' }], 'trixie', 'sid')).toEqual([
      { format: 'list', text: 'deb http://mirror.test/debian sid main\n' },
    ]);
  });

  it('leaves out other makers, sources without programs, and those switched off', () => {
    const others = [
      'Types: deb\nURIs: https://maker.test/node\nSuites: nodistro\nComponents: main',
      'Types: deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm',
      'Enabled: no\nTypes: deb\nURIs: http://mirror.test/debian\nSuites: bookworm',
    ].join('\n\n');
    expect(sourcesForSuite([{ format: 'sources', text: others }], 'bookworm', 'sid')).toEqual([]);
  });
});
