import Sequencer from '@jest/test-sequencer';

/** What waits for a build that the set-up began in the background. */
const WAITS = /test\/real\/kubernetes\.test\.ts$/;

/** Jest's own order, with what has to wait for something at the end. */
export default class Waiting extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    return [...sorted.filter(({ path }) => !WAITS.test(path)), ...sorted.filter(({ path }) => WAITS.test(path))];
  }
}
