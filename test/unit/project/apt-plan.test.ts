import { expect, it } from 'vitest';

import { parseInstallPlan } from '../../../scripts/apt-plan.ts';

it('reads from an install plan what is new and what is upgraded, at the version that would be installed', () => {
  const output = [
    'Reading package lists...',
    'The following NEW packages will be installed:',
    '  chromium libogg0',
    'Inst libc6 [2.36-9+deb12u9] (2.36-9+deb12u10 Debian:12.15/oldstable [amd64]) []',
    'Inst libogg0 (1.3.5-3 Debian:12.15/oldstable [amd64])',
    'Inst libjpeg62-turbo:i386 (1:2.1.5-2 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [i386])',
    'Conf libogg0 (1.3.5-3 Debian:12.15/oldstable [amd64])',
  ].join('\n');
  expect(parseInstallPlan(output)).toEqual(['libc6=2.36-9+deb12u10', 'libogg0=1.3.5-3', 'libjpeg62-turbo:i386=1:2.1.5-2']);
  expect(parseInstallPlan('0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.')).toEqual([]);
});
