/**
 * `npm run bench`: prints what the library costs where a hub has many servers. Times are those of
 * this machine; each line ends with a ratio of two of them, taken in the same run, which can be
 * compared with that of another machine or another day. Nothing is asserted.
 */
import { constructing } from './constructing.ts';
import { parsing } from './parsing.ts';
import { polling } from './polling.ts';
import { rendering } from './rendering.ts';
import { supervising } from './supervising.ts';

for (const bench of [polling, supervising, parsing, constructing, rendering]) {
  console.log(await bench());
}
