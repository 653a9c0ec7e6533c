import { copyFileSync } from 'node:fs';
import { basename } from 'node:path';

import { packClient } from './client-package.ts';

/*
 * npm run pack:client: leaves the package `attune-client` here, ready to be installed or published. Its package.json and README are made
 * from those of the project, so that they cannot fall behind.
 */

using packed = packClient();
copyFileSync(packed.tarball, basename(packed.tarball));
console.log(basename(packed.tarball));
