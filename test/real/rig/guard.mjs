// Outlives the process that started it, by seconds: when its standard input ends, whatever the reason, it stops the servers and
// removes the directories that are still on its list. Lines: `+pid N`, `-pid N`, `+dir PATH`, `-dir PATH`.
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const pids = new Set();
const dirs = new Set();

const alive = pid => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const signal = (pid, name) => {
  if (alive(pid)) process.kill(pid, name);
};
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {});
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...rest] = line.split(' ');
  const value = rest.join(' ');
  // A start that failed has no pid of its own, and -1 would mean everybody.
  if (what === '+pid' && Number(value) > 0) pids.add(Number(value));
  if (what === '-pid') pids.delete(Number(value));
  if (what === '+dir') dirs.add(value);
  if (what === '-dir') dirs.delete(value);
}
for (const pid of pids) signal(pid, 'SIGQUIT');
for (let waited = 0; waited < 3000 && [...pids].some(alive); waited += 50) await pause(50);
for (const pid of pids) signal(pid, 'SIGKILL');
await pause(pids.size > 0 ? 100 : 0);
for (const dir of dirs) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
