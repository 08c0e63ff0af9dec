import Sequencer from '@jest/test-sequencer';

/** What waits for a build that the set-up began in the background; the longest last. */
const WAITS = ['kubernetes', 'image'].map(name => `/test/real/${name}.test.ts`);

/** Jest's own order, with what has to wait for something at the end. */
export default class Waiting extends Sequencer {
  sort(tests) {
    const place = ({ path }) => WAITS.findIndex(end => path.endsWith(end));
    return super.sort(tests).sort((a, b) => place(a) - place(b));
  }
}
