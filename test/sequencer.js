import Sequencer from '@jest/test-sequencer';

/** What waits for a build that the set-up began in the background; the longest last. By then it is done: all suites with servers take longer. */
const WAITS = ['kubernetes', 'image'].map(name => `/test/real/${name}.test.ts`);

/** Where a suite stands: those that start servers first, since they are long, then what waits, and at the end the short ones, which fill the gaps. */
function place({ path }) {
  const waits = WAITS.findIndex(end => path.endsWith(end));
  if (waits >= 0) return waits + 1;
  return path.includes('/test/real/') ? 0 : WAITS.length + 1;
}

/** Jest's own order, the longest first, within each of these. */
export default class Waiting extends Sequencer {
  sort(tests) {
    return super.sort(tests).sort((a, b) => place(a) - place(b));
  }
}
