import * as z from 'zod';
import { BkpError } from './errors.ts';

const instant = z.iso.datetime();
const want = z.looseObject({
  latest: z.boolean().optional(),
  backup: z.string().optional(),
  time: instant.optional(),
});

const step = z.object({
  kind: z.string(),
  name: z.string(),
  wave: z.int().min(0),
  want,
  /** Absolute path, or the address of a running server in words. */
  to: z.string(),
  /** Directories of its own that a killed run may leave half filled. */
  places: z.array(z.string()),
  /** `begun` = it was being restored when this was written; `back` = it is there and proved itself. */
  state: z.enum(['waiting', 'begun', 'back', 'failed']),
  error: z.string().optional(),
  seconds: z.number().optional(),
  /** What the restore said of itself: the state that was reached, and what to do next. */
  reachedAt: instant.optional(),
  next: z.array(z.string()).optional(),
  /** What came back otherwise than it was recorded. */
  differs: z.array(z.string()).optional(),
});

const shape = z.object({
  version: z.literal(1),
  id: z.string(),
  env: z.string(),
  /** What was asked for, word by word: another request does not go on with this journal. */
  asked: z.string(),
  startedAt: instant,
  steps: z.array(step).min(1),
});

/** How far a restore of the whole stack has come. Kept in a file of this host; written whole at each change. */
export type Journal = z.infer<typeof shape>;
export type JournalStep = z.infer<typeof step>;

/** Reads a journal. @throws BkpError('refused') when it is damaged: what it says about half-filled places is lost then */
export function decodeJournal(text: string, file: string): Journal {
  const parsed = shape.safeParse(parse(text));
  if (parsed.success) return parsed.data;
  throw new BkpError('refused', `${file} is no journal that this version reads`, {
    next: `look at what was restored so far, then move ${file} away`,
  });
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** The bytes of a journal, for people too. */
export const encodeJournal = (journal: Journal): string => `${JSON.stringify(journal, null, 2)}\n`;

/** The same journal with one step changed. */
export const withStep = (journal: Journal, of: { kind: string; name: string }, change: Partial<JournalStep>): Journal => ({
  ...journal,
  steps: journal.steps.map(each => (each.kind === of.kind && each.name === of.name ? { ...each, ...change } : each)),
});

/** Whether everything is back. */
export const isOver = ({ steps }: Journal): boolean => steps.every(({ state }) => state === 'back');
