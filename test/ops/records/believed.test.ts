import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/core/contracts.ts';
import { BkpError } from '../../../src/core/errors.ts';
import { newestBelieved } from '../../../src/ops/records/believed.ts';

/** Reads three records, the newest first, of which each is what a test says, or throws it. */
async function ask(...records: readonly (string | Error)[]) {
  const events: Event[] = [];
  const read = async (record: string | Error): Promise<string> => {
    if (record instanceof Error) throw record;
    return record;
  };
  const found = await newestBelieved('run', records, read, { emit: event => void events.push(event) }).catch((error: Error) => error);
  return { found, told: events.map(event => ('text' in event ? event.text : event.type)) };
}

const strange = (what: string): Error => new BkpError('verifyFailed', `${what} is strange`);

test('the newest that can be believed counts, and what is newer is one warning', async () => {
  expect(await ask('c', 'b', 'a')).toEqual({ found: 'c', told: [] });
  expect(await ask(strange('c'), 'b', strange('a'))).toEqual({ found: 'b', told: ['the record of a run is passed over: c is strange'] });
  expect(await ask(strange('c'), strange('b'))).toEqual({
    found: undefined,
    told: ['2 records of a run are passed over, the newest since c is strange'],
  });
});

test('one that is gone since the listing is nothing to tell', async () => {
  expect(await ask(new BkpError('notFound', 'c is gone'), 'b')).toEqual({ found: 'b', told: [] });
});

test('a store that stops answering is no store without records, and what was met before is told all the same', async () => {
  const gone = new BkpError('storeUnreachable', 'one does not answer');
  expect(await ask(strange('c'), gone, 'a')).toEqual({ found: gone, told: ['the record of a run is passed over: c is strange'] });
  const aborted = new Error('aborted');
  expect(await ask(aborted, 'a')).toEqual({ found: aborted, told: [] });
});
