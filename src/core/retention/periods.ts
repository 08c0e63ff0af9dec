import { offsetAt } from '../time.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A wall clock: `fields` is the UTC count of what it shows, `offset` what it is east of UTC, both in milliseconds. */
export interface Wall {
  fields: number;
  offset: number;
}

/** What clocks in `zone`, an IANA name, show at an instant. Asking a zone is slow, so each instant is asked for once. */
export function clockOf(zone: string): (at: Date) => Wall {
  const known = new Map<number, Wall>();
  return at => {
    const ms = at.getTime();
    const found = known.get(ms);
    if (found) return found;
    const offset = offsetAt(zone, ms);
    const wall = { fields: ms + offset, offset };
    known.set(ms, wall);
    return wall;
  };
}

const text = (fields: number, length: number): string => new Date(fields).toISOString().slice(0, length);

const offsetText = (offset: number): string => `${offset < 0 ? '-' : '+'}${text(Math.abs(offset), 16).slice(11)}`;

export type WeekStart = 'sunday' | 'monday';

/** When the week of a wall clock began, as a UTC count of fields. */
function weekOf(fields: number, weekStart: WeekStart): number {
  const day = Math.floor(fields / DAY_MS) * DAY_MS;
  const weekday = new Date(day).getUTCDay();
  return day - (weekStart === 'sunday' ? weekday : (weekday + 6) % 7) * DAY_MS;
}

function monthOf(fields: number): number {
  const date = new Date(fields);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** The calendar periods that rules count. */
export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

interface Calendar {
  /** The same for two wall clocks exactly when they are in one period. */
  key(wall: Wall, weekStart: WeekStart): number;
  /** The period for people. */
  name(wall: Wall, weekStart: WeekStart): string;
}

/**
 * Periods: `2026-01-15 02:00 +01:00`, `2026-01-15`, `week of 2026-01-11`, `2026-01`, `2026`. A week is that of the date of its first day,
 * so none is cut at New Year; an hour that clocks show twice is two.
 */
export const PERIODS: Readonly<Record<Period, Calendar>> = {
  hourly: {
    // Offsets are less than a day either way: two days of minutes hold them all.
    key: ({ fields, offset }) => Math.floor(fields / HOUR_MS) * 2 * 1440 + Math.round(offset / MINUTE_MS),
    name: ({ fields, offset }) => `${text(fields, 13).replace('T', ' ')}:00 ${offsetText(offset)}`,
  },
  daily: { key: ({ fields }) => Math.floor(fields / DAY_MS), name: ({ fields }) => text(fields, 10) },
  weekly: {
    key: ({ fields }, weekStart) => weekOf(fields, weekStart),
    name: ({ fields }, weekStart) => `week of ${text(weekOf(fields, weekStart), 10)}`,
  },
  monthly: { key: ({ fields }) => monthOf(fields), name: ({ fields }) => text(fields, 7) },
  yearly: { key: ({ fields }) => new Date(fields).getUTCFullYear(), name: ({ fields }) => text(fields, 4) },
};
