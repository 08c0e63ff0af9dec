import { expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import { readUntil } from '../../../src/ops/records/until.ts';

const now = new Date('2026-03-01T12:00:00Z');
const read = (text: string, zone = 'UTC'): string => readUntil(text, zone, now).toISOString();

it.each([
  ['2027-01-01', 'UTC', '2027-01-01T00:00:00.000Z'],
  ['2027-01-01', 'Europe/Berlin', '2026-12-31T23:00:00.000Z'],
  ['2026-07-01', 'Europe/Berlin', '2026-06-30T22:00:00.000Z'],
  ['2028-02-29', 'UTC', '2028-02-29T00:00:00.000Z'],
  ['2027-01-01T12:00:00Z', 'Europe/Berlin', '2027-01-01T12:00:00.000Z'],
  ['2027-01-01 12:00+01:00', 'UTC', '2027-01-01T11:00:00.000Z'],
  ['90d', 'UTC', '2026-05-30T12:00:00.000Z'],
  ['36h', 'UTC', '2026-03-03T00:00:00.000Z'],
])('%s in %s is %s', (text, zone, expected) => {
  expect(read(text, zone)).toBe(expected);
});

it.each([
  '',
  '90',
  'forever',
  'tomorrow',
  '2027',
  '2027-1-1',
  '01.01.2027',
  '2027-13-01',
  '2027-02-29',
  '2027-01-01T12:00:00',
  '2027-02-30T12:00:00Z',
  '2027-01-01T24:00:00Z',
  '2027-01-01T12:00:00+25:00',
  '-90d',
  '0d',
  '1.5d',
  '2026-03-01',
  '2026-03-01T12:00:00Z',
  '2025-01-01',
  '999999w',
])('%j is refused, with what may be written', text => {
  expect(() => read(text)).toThrow(expect.objectContaining({ exit: 'usage', next: [expect.stringContaining('90d')] }));
});

test('a day of the future always begins in the future, whatever the zone', () => {
  const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati', 'America/Sao_Paulo');
  const days = fc.date({ min: new Date('2026-03-03'), max: new Date('2100-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(zones, days, (zone, day) => {
      const text = day.toISOString().slice(0, 10);
      const at = readUntil(text, zone, now);
      const shown = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' });
      expect(shown.format(at)).toBe(text);
      expect(shown.format(new Date(at.getTime() - 1))).not.toBe(text);
    }),
  );
});
