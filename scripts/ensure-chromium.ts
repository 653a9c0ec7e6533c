import { ensureChromium } from './chromium.ts';

/* Prints the path of a Chromium, and brings one into .cache first if there is none. */

console.log(await ensureChromium());
