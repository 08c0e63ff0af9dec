import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Resent } from '../../../../src/providers/targets/postgres/resent.ts';
import { Spool } from '../../../../src/providers/targets/postgres/spool.ts';

const SIZE = 1024 * 1024;
const NAME = '000000010000000000000002';
const PARTIAL = `${NAME}.partial`;
const ASIDE = `${PARTIAL}.before`;

let spool: Spool;
/** As the receiver does: filled with zeros to its size, then written from its start. */
const received = (text: string, file = PARTIAL): void => {
  writeFileSync(join(spool.dir, file), text);
  truncateSync(join(spool.dir, file), SIZE);
};
const written = async (): Promise<string> => (await spool.written(NAME, 0))!.toString();

beforeEach(() => {
  spool = new Spool(mkdtempSync(join(tmpdir(), 'bkp-resent-')), SIZE);
});
afterEach(() => rmSync(spool.dir, { recursive: true }));

it('the receiver begins the open segment with nothing in it; what was there goes once as much has come again', async () => {
  received('old bytes');
  const resent = new Resent(spool);
  await resent.setAside();
  expect(await written()).toBe('');
  expect(readdirSync(spool.dir)).toEqual([PARTIAL, ASIDE]);
  received('old b');
  await resent.look();
  expect(readdirSync(spool.dir)).toEqual([PARTIAL, ASIDE]);
  received('old bytes and new ones');
  await resent.look();
  expect(readdirSync(spool.dir)).toEqual([PARTIAL]);
});

it('what did not come again is taken back, and a run that was killed in between loses nothing', async () => {
  received('old bytes');
  await new Resent(spool).setAside();
  received('old');
  const next = new Resent(spool);
  await next.setAside();
  expect(await written()).toBe('');
  await new Resent(spool).takeBack();
  expect(await written()).toBe('old bytes');
  expect(readdirSync(spool.dir)).toEqual([PARTIAL]);
});

it('other bytes than before are a conflict, in the open segment and in a finished one', async () => {
  received('old bytes');
  const open = new Resent(spool);
  await open.setAside();
  received('new');
  await expect(open.look()).rejects.toMatchObject({ exit: 'conflict', message: expect.stringContaining(NAME) });
  rmSync(join(spool.dir, PARTIAL));
  received('old bytez', NAME);
  await expect(new Resent(spool).takeBack()).rejects.toMatchObject({ exit: 'conflict' });
  expect(readdirSync(spool.dir)).toEqual([NAME, ASIDE]);
});

it('after a failover what the old primary had written beyond the switch is its own again', async () => {
  received('old bytes beyond the switch');
  const resent = new Resent(spool);
  await resent.setAside();
  received('old bytes');
  await resent.look();
  expect(readdirSync(spool.dir)).toEqual([PARTIAL, ASIDE]);
  received('new', '000000020000000000000002.partial');
  await resent.look();
  expect(readdirSync(spool.dir)).toEqual([PARTIAL, '000000020000000000000002.partial']);
  expect(await written()).toBe('old bytes beyond the switch');
});

it('has nothing to do in an empty spool, nor for a segment of which nothing was written', async () => {
  await new Resent(spool).setAside();
  expect(readdirSync(spool.dir)).toEqual([]);
  received('');
  await new Resent(spool).setAside();
  expect(readdirSync(spool.dir)).toEqual([PARTIAL]);
});
