import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Wire } from '../../../../src/providers/targets/postgres/wire.ts';

let dir: string;
let socket: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-wire-'));
  socket = join(dir, 'wal');
});
afterEach(() => rmSync(dir, { recursive: true }));

const linked = (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const link = connect({ path: socket, allowHalfOpen: true }, () => resolve(link));
    link.on('error', reject);
  });

const said = async (name: string): Promise<string> => {
  const link = await linked();
  link.write(`${name}\n`);
  let answer = '';
  for await (const chunk of link) answer += chunk;
  return answer;
};

it('answers with a path, with the end of the WAL, and with why it cannot', async () => {
  const wire = new Wire(async name => {
    if (name === 'bad') throw new Error('two\nlines');
    return name === 'none' ? undefined : `/ready/${name}`;
  });
  await wire.listen(socket);
  expect([await said('one'), await said('none'), await said('bad')]).toEqual(['0 /ready/one', '74', '255 two lines']);
  await wire.close();
});

it('closes though somebody looked in and asked nothing, waits without asking, or is not answered yet', async () => {
  const wire = new Wire(() => new Promise(() => {}));
  await wire.listen(socket);
  const looked = await linked();
  looked.end();
  await new Promise(resolve => looked.once('close', resolve).resume());
  const waiting = await linked();
  const asking = await linked();
  asking.write('one\n');
  const ended = [waiting, asking].map(
    link =>
      new Promise(resolve =>
        link
          .once('close', resolve)
          .resume()
          .on('end', () => link.end()),
      ),
  );
  await wire.close();
  await Promise.all(ended);
});
