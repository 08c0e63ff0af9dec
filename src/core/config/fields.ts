import { Cron } from 'croner';
import * as z from 'zod';
import { DURATION } from '../duration.ts';
import { quoted } from './quoted.ts';

/** Names of environments, stores and entries: they become parts of keys. */
export const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

export const name = z.string().regex(NAME, { abort: true }).meta({ pattern: NAME.source });

const allowed = (test: (text: string) => boolean, error: string) => z.string().refine(test, { error, abort: true });

export const duration = z
  .string({ error: issue => (issue.input === undefined ? undefined : notA(issue.input, DURATION_TEXT)) })
  .regex(DURATION, { error: issue => notA(issue.input, DURATION_TEXT) });

const DURATION_TEXT = 'no duration; a whole number and a unit are needed (ms, s, m, h, d, w), e.g. 15m or 30d';

const notA = (input: unknown, text: string) => `${quoted(input)} is ${text}`;

/** A path that means the same wherever bkp is started; a reference may be one. Slashes at its end are taken off. */
export const absolute = z
  .string()
  .regex(/^(\/|.*\$\{)[^\0\n]*$/, { error: 'is no absolute path; allowed is one that begins with /' })
  .overwrite(path => (path === '/' ? path : path.replace(/\/+$/, '')));

export const count = z.int().min(0).max(100_000);

const isZone = (text: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return /^[A-Za-z]/.test(text);
  } catch {
    return false;
  }
};

export const timezone = allowed(isZone, 'is no time zone; allowed are IANA names, e.g. UTC or Europe/Berlin');

const isCron = (text: string): boolean => {
  if (!/^@(hourly|daily|weekly|monthly|yearly)$/.test(text) && text.trim().split(/\s+/).length !== 5) return false;
  try {
    // Without a function croner starts no timer; it only reads the pattern. 30 February never comes.
    return new Cron(text).nextRun() !== null;
  } catch {
    return false;
  }
};

export const schedule = allowed(
  isCron,
  'is no schedule; allowed are five cron fields (minute hour day month weekday), e.g. "0 2 * * *", or @hourly @daily @weekly @monthly @yearly',
);

/** "/a/b", "a/b/" and "a//b" are the same prefix. */
const plainPrefix = (text: string): string =>
  text
    .split('/')
    .filter(part => part !== '')
    .join('/');

const isPrefix = (text: string): boolean => /^[A-Za-z0-9._+=@/-]*$/.test(text) && !text.split('/').some(part => /^\.{1,2}$/.test(part));

export const prefix = allowed(
  isPrefix,
  'is no prefix; allowed are letters, digits and . _ + = @ - in parts between slashes, without . and ..',
).overwrite(plainPrefix);
