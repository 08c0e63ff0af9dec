import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemRunner } from '../../src/system/runner.ts';
import { isAlive, node24, root, start, waitFor } from '../real/rig/index.ts';

test('a tied child ends with the process that started it, however that ends; another one goes on', async () => {
  const module = JSON.stringify(join(root, 'src/system/runner.ts'));
  const script = `const { systemRunner } = await import(${module});
    const begin = options => systemRunner.start({ file: 'sleep', args: ['600'] }, options).pid;
    console.log(JSON.stringify([begin({ tied: 'SIGKILL' }), begin({})]));
    setInterval(() => {}, 1000);`;
  const parent = start(node24(), ['--no-warnings', '--input-type=module', '-e', script]);
  await waitFor(() => parent.output().stdout.endsWith('\n'), 'both children');
  const [tied, other] = JSON.parse(parent.output().stdout) as [number, number];
  try {
    expect([tied, other].map(isAlive)).toEqual([true, true]);
    parent.kill('SIGKILL');
    await waitFor(() => !isAlive(tied), 'the end of the tied one');
    expect(isAlive(other)).toBe(true);
  } finally {
    process.kill(other, 'SIGKILL');
  }
});

test('a tied child is the program itself, and one that is not there is told as such', async () => {
  const child = systemRunner.start({ file: 'sh', args: ['-c', 'echo $$ $0', '--x'] }, { tied: 'SIGKILL' });
  let said = '';
  for await (const line of child.lines()) said += line;
  expect(said).toBe(`${child.pid} --x`);
  expect(await child.ended).toMatchObject({ code: 0 });
  await expect(systemRunner.start({ file: 'no-such-program', args: [] }, { tied: 'SIGKILL' }).ended).rejects.toMatchObject({
    message: 'no-such-program could not be started: there is no such program',
  });
});
