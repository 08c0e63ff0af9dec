// The one-file executable begins here: what bin/bkp.js is to the npm package. There is nothing beside it, so all is in its bundle.
import { launch } from '../../bin/launch.js';
import { about } from '../../src/about.ts';

launch({
  version: () => about().version,
  load: program => (program === 'ready' ? import('../../src/system/ready.ts') : import('../../src/main.ts')),
});
