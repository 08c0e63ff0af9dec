import * as z from 'zod';
import { parseDuration } from '../duration.ts';
import { EVENTS, NOTIFYING, type NotifierKind } from '../notify/types.ts';
import { duration } from './fields.ts';

const LONGEST_MS = 60_000;

const within = (text: string): boolean => parseDuration(text) >= 100 && parseDuration(text) <= LONGEST_MS;

/** What every notifier has. */
export const notifierFields = ({ on }: Pick<NotifierKind, 'on'>) => ({
  on: z
    .array(z.enum(EVENTS))
    .min(1)
    .default([...on])
    .describe('what it is told of'),
  verbs: z.array(z.enum(NOTIFYING)).min(1).optional().describe('commands that it is told of; default: all that notify'),
  targets: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('kinds (`redis`) or entries (`redis/app`) that it is told of; default: all'),
  timeout: duration
    .refine(within, { error: 'is too short or too long; allowed is 100ms to 60s' })
    .default('15s')
    .describe('a message is given up after this long, with all tries'),
  repeat: duration.default('12h').describe('how soon `bkp status` tells again what it has told and what is still so'),
});
