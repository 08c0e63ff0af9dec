// The stories that bkp is for, on real servers and in a few seconds each: `stack` (default), the whole platform lost and brought back;
// `postgres`, one table dropped and the second before it. Ends with a non-zero code when anything is not as it should be.
import chalk from 'chalk';
import { cleanUp } from '../test/real/rig/index.ts';

const stories = {
  stack: async () => (await import('./demo/stack.ts')).stackStory(),
  postgres: async () => (await import('./demo/postgres.ts')).postgresStory(),
};

const name = process.argv[2] ?? 'stack';
if (!Object.hasOwn(stories, name)) {
  console.error(`usage: npm run demo -- NAME, where NAME is one of: ${Object.keys(stories).join(', ')}`);
  process.exit(2);
}
try {
  process.exitCode = (await stories[name as keyof typeof stories]()) ? 0 : 1;
} catch (error) {
  console.error(`\n${chalk.red('The demo failed:')} ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
// What a story that failed had begun, such as its load, waits for nothing.
process.exit();
