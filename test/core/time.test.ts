import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TZDate } from '@date-fns/tz';
import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import type { BkpError } from '../../src/core/errors.ts';
import { readTargetTime } from '../../src/core/time.ts';

const NOW = new Date('2026-06-30T12:00:00Z');
const BERLIN = 'Europe/Berlin';

const read = (text: string, zone = 'UTC'): string => readTargetTime(text, zone, NOW).utc.toISOString();

/** The sentence with which a text is refused. */
function refusal(text: string, zone = 'UTC'): string {
  try {
    return `read as ${read(text, zone)}`;
  } catch (error) {
    expect(error).toMatchObject({ exit: 'usage', next: [expect.stringContaining('2026-01-15')] });
    return (error as BkpError).message;
  }
}

describe('what is read', () => {
  test.each([
    ['2026-01-15 14:30:00', 'UTC', '2026-01-15T14:30:00.000Z'],
    ['2026-01-15T14:30', 'UTC', '2026-01-15T14:30:00.000Z'],
    ['  2026-01-15 14:30:00 UTC ', BERLIN, '2026-01-15T14:30:00.000Z'],
    ['2026-01-15T14:30:00Z', BERLIN, '2026-01-15T14:30:00.000Z'],
    ['2026-01-15 14:30:00', BERLIN, '2026-01-15T13:30:00.000Z'],
    ['2026-05-15 14:30:00', BERLIN, '2026-05-15T12:30:00.000Z'],
    ['2026-01-15 14:30:00+05:30', BERLIN, '2026-01-15T09:00:00.000Z'],
    ['2026-01-15 14:30:00-0330', BERLIN, '2026-01-15T18:00:00.000Z'],
    ['2024-02-29 00:00:00', 'UTC', '2024-02-29T00:00:00.000Z'],
    ['2026-01-15 14:30:00.5', 'UTC', '2026-01-15T14:30:00.500Z'],
    ['2011-12-31 00:30:00', 'Pacific/Apia', '2011-12-30T10:30:00.000Z'],
  ])('%s in %s is %s', (text, zone, utc) => {
    expect(read(text, zone)).toBe(utc);
  });

  test('microseconds are cut to the millisecond before, never rounded up', () => {
    expect(read('2026-01-15 14:30:00.123999')).toBe('2026-01-15T14:30:00.123Z');
  });

  test.each(['+00', '+02', '-03'])('the way in which psql shows an instant (offset %s) can be pasted', offset => {
    const hours = Number(offset);
    expect(read(`2026-01-15 14:30:00.25${offset}`)).toBe(new Date(Date.UTC(2026, 0, 15, 14 - hours, 30, 0, 250)).toISOString());
  });

  test('the reading names the text, the zone and the instant', () => {
    expect(readTargetTime('2026-01-15 14:30:00', BERLIN, NOW).reading).toBe(
      '2026-01-15 14:30:00 read in Europe/Berlin is 2026-01-15T13:30:00.000Z',
    );
    expect(readTargetTime('2026-01-15T14:30:00+01:00', BERLIN, NOW).reading).not.toContain(BERLIN);
  });
});

describe('what is refused', () => {
  test.each([
    ['', /not a date/],
    ['yesterday', /not a date/],
    ['2026-01-15', /not a date/],
    ['14:30:00', /not a date/],
    ['15.01.2026 14:30', /not a date/],
    ['1768487400', /not a date/],
    ['2026-01-15 14:30:00 Berlin', /not a date/],
    ['2026-02-29 00:00:00', /no such day/],
    ['2026-13-01 00:00:00', /no such day/],
    ['2026-00-10 00:00:00', /no such day/],
    ['2026-01-15 24:00:00', /no such day or time/],
    ['2026-01-15 14:60:00', /no such day or time/],
    ['2026-01-15 14:30:60', /no such day or time/],
    ['0050-01-15 14:30:00', /no such day/],
    ['2026-01-15 14:30:00+99:00', /offset|not a date|no such/],
    ['2026-01-15 14:30:00+02:75', /offset|not a date|no such/],
    ['2026-06-30 12:00:01', /future/],
    ['2026-06-30T14:00:00+01:00', /future/],
  ])('%s', (text, why) => {
    expect(refusal(text)).toMatch(why);
  });

  test('a local time that clocks skipped', () => {
    expect(refusal('2026-03-29 02:30:00', BERLIN)).toMatch(/clocks in Europe\/Berlin skipped it/);
    expect(refusal('2011-12-30 12:00:00', 'Pacific/Apia')).toMatch(/skipped it/);
    expect(read('2026-03-29 01:59:59', BERLIN)).toBe('2026-03-29T00:59:59.000Z');
    expect(read('2026-03-29 03:00:00', BERLIN)).toBe('2026-03-29T01:00:00.000Z');
  });

  test('a local time that clocks showed twice, with both instants', () => {
    expect(refusal('2025-10-26 02:30:00', BERLIN)).toMatch(/twice, as 2025-10-26T0[01]:30:00.000Z and 2025-10-26T0[01]:30:00.000Z/);
    expect(read('2025-10-26 02:30:00+02:00', BERLIN)).toBe('2025-10-26T00:30:00.000Z');
    expect(read('2025-10-26 02:30:00+01:00', BERLIN)).toBe('2025-10-26T01:30:00.000Z');
    expect(read('2025-10-26 01:59:59', BERLIN)).toBe('2025-10-25T23:59:59.000Z');
    expect(read('2025-10-26 03:00:00', BERLIN)).toBe('2025-10-26T02:00:00.000Z');
  });
});

// Whole, half and three-quarter hours, half-hour summer time, both hemispheres, a skipped day, summer time that is turned off for Ramadan.
const ZONES = [
  'UTC',
  BERLIN,
  'America/New_York',
  'America/St_Johns',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Pacific/Chatham',
  'America/Asuncion',
];
const FROM = Date.UTC(1990, 0, 1);

const instant = fc.integer({ min: FROM / 1000, max: NOW.getTime() / 1000 - 86_400 }).map(seconds => seconds * 1000);
const zone = fc.constantFrom(...ZONES);

const two = (n: number): string => String(n).padStart(2, '0');
/** The wall clock of a zone at an instant, by date-fns. */
const wallAt = (at: number, where: string): string => {
  const wall = new TZDate(at, where);
  const day = `${wall.getFullYear()}-${two(wall.getMonth() + 1)}-${two(wall.getDate())}`;
  return `${day} ${two(wall.getHours())}:${two(wall.getMinutes())}:${two(wall.getSeconds())}`;
};
/** Every instant at which a zone's clocks show a wall time, by trying each offset of a quarter of an hour. */
const instantsOf = (wall: string, where: string): string[] => {
  const fields = Date.parse(`${wall.replace(' ', 'T')}Z`);
  return Array.from({ length: 27 * 4 + 1 }, (_, n) => fields - (n - 12 * 4) * 900_000)
    .filter(at => wallAt(at, where) === wall)
    .map(at => new Date(at).toISOString())
    .sort();
};

describe('properties', () => {
  it('every millisecond is read as itself', () => {
    const off = Array.from({ length: 1000 }, (_, ms) => String(ms).padStart(3, '0')).filter(
      ms => read(`2026-01-15 14:30:00.${ms}`) !== `2026-01-15T14:30:00.${ms}Z`,
    );
    expect(off).toEqual([]);
  });

  it('any instant, given with an offset, is that instant in every zone', () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), zone, (at, minutes, where) => {
        const local = new Date(at + minutes * 60_000).toISOString().slice(0, 19);
        const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
        expect(read(`${local}${offset}`, where)).toBe(new Date(at).toISOString());
      }),
    );
  });

  it('the wall clock of any instant and zone comes back as that instant, or is refused as ambiguous with it among the two', () => {
    fc.assert(
      fc.property(instant, zone, (at, where) => {
        const text = wallAt(at, where);
        const utc = new Date(at).toISOString();
        const all = instantsOf(text, where);
        expect(all).toContain(utc);
        if (all.length === 1) expect(read(text, where)).toBe(utc);
        else for (const each of all) expect(refusal(text, where)).toContain(each);
      }),
    );
  });

  it('around every change of the clocks: none is refused as skipped, two as ambiguous, one is read', () => {
    const changes = ZONES.flatMap(where => changesOf(where).map(at => ({ where, at })));
    expect(changes.length).toBeGreaterThan(100);
    fc.assert(
      fc.property(fc.constantFrom(...changes), fc.integer({ min: -26 * 60, max: 26 * 60 }), ({ where, at }, minutes) => {
        const text = wallText(at + minutes * 60_000);
        const all = instantsOf(text, where);
        if (all.length === 1) expect(read(text, where)).toBe(all[0]);
        else expect(refusal(text, where)).toMatch(all.length === 0 ? /skipped it/ : /twice/);
      }),
      { numRuns: 400 },
    );
  });
});

const wallText = (fields: number): string => new Date(fields).toISOString().slice(0, 19).replace('T', ' ');

/** The days since 2010 on which a zone's offset changed, as the zone's own wall time. */
function changesOf(where: string): number[] {
  const found: number[] = [];
  for (let at = Date.UTC(2010, 0, 1); at < NOW.getTime() - 3 * 86_400_000; at += 86_400_000) {
    const [before, after] = [at, at + 86_400_000].map(each => new TZDate(each, where).getTimezoneOffset());
    if (before !== after) found.push(at - before! * 60_000);
  }
  return found;
}

test.each(['UTC', 'Asia/Tokyo', 'America/New_York'])('RT02: the same reading under TZ=%s of the process', TZ => {
  const texts = ['2026-01-15 14:30:00', '2026-03-29 03:00:00', '2026-03-29 02:30:00', '2025-10-26 02:30:00', '2025-11-02 01:30:00'];
  const script = `
    import { readTargetTime } from ${JSON.stringify(fileURLToPath(new URL('../../src/core/time.ts', import.meta.url)))};
    const read = (text, zone) => { try { return readTargetTime(text, zone, new Date('2026-06-30T12:00:00Z')).utc.toISOString(); } catch (e) { return e.message; } };
    console.log(JSON.stringify([new Date(0).getTimezoneOffset(), ...${JSON.stringify(texts)}.flatMap(text => [read(text, 'Europe/Berlin'), read(text, 'America/New_York')])]));`;
  const out = execFileSync(process.execPath, ['--no-warnings', '--input-type=module-typescript', '-e', script], {
    env: { ...process.env, TZ },
    encoding: 'utf8',
  });
  const [offset, ...readings] = JSON.parse(out) as [number, ...string[]];
  expect(offset).toBe({ UTC: 0, 'Asia/Tokyo': -540, 'America/New_York': 300 }[TZ]);
  expect(readings).toEqual(texts.flatMap(text => [BERLIN, 'America/New_York'].map(where => outcome(text, where))));
  expect(readings.slice(0, 2)).toEqual(['2026-01-15T13:30:00.000Z', '2026-01-15T19:30:00.000Z']);
});

const outcome = (text: string, where: string): string => {
  try {
    return read(text, where);
  } catch (error) {
    return (error as BkpError).message;
  }
};
