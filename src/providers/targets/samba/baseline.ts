import * as z from 'zod';
import type { Look } from './look.ts';

const counts = z.object({ users: z.number(), computers: z.number(), groups: z.number() });

const shape = z.looseObject({
  mode: z.enum(['online', 'offline']),
  dcs: z.array(z.object({ name: z.string(), host: z.string().nullable(), addresses: z.array(z.string()) })),
  sites: z.array(z.string()),
  before: counts,
  after: counts,
  sysvol: z.object({ files: z.number(), policies: z.number() }),
  /** Errors that dbcheck found on the source; absent = it was not run. */
  dbcheckErrors: z.number().optional(),
  /** Files of the database that have a second name, which BIND9_DLZ gives them. */
  hardLinks: z.array(z.string()).default([]),
  /** The partitions of DNS are in it. */
  dns: z.boolean().default(true),
});

/** What a domain held when it was backed up, counted before and after: an account that comes or goes meanwhile is in either number. */
export type Baseline = z.infer<typeof shape>;

export type Counts = z.infer<typeof counts>;

export const countsOf = ({ users, computers, groups }: Look): Counts => ({ users, computers, groups });

/** Reads a recorded baseline; undefined when it is none that this version knows. */
export const readBaseline = (value: unknown): Baseline | undefined => shape.safeParse(value).data;

const KEYS = ['users', 'computers', 'groups'] as const;

/** What a copy lacks of what was counted, in words; more than was counted is no fault. */
export function lackingAccounts({ before, after }: Baseline, copy: Counts): string[] {
  return KEYS.flatMap(key => {
    const least = Math.min(before[key], after[key]);
    return copy[key] < least ? [`${copy[key]} ${key}, and ${least} were counted when it was backed up`] : [];
  });
}

/** The same for sysvol. */
export const lackingFiles = (
  wanted: { files: number; policies: number },
  found: { files: number; policies: number },
  where: string,
): string[] =>
  (['files', 'policies'] as const).flatMap(key =>
    found[key] < wanted[key] ? [`sysvol has ${found[key]} ${key} ${where}, and ${wanted[key]} on the DC`] : [],
  );

/** Files and policies of sysvol that did, too. */
export const sysvolShrunk = (before: Baseline['sysvol'] | undefined, now: Baseline['sysvol']): string[] =>
  (['files', 'policies'] as const).flatMap(key =>
    before && before[key] >= 10 && now[key] * 2 <= before[key]
      ? [`sysvol has ${now[key]} ${key}, and had ${before[key]} at the last backup`]
      : [],
  );

/** Accounts that went away by half or more since the backup before, in words. */
export const shrunk = (before: Counts | undefined, now: Counts): string[] =>
  KEYS.flatMap(key =>
    before && before[key] >= 10 && now[key] * 2 <= before[key]
      ? [`the domain has ${now[key]} ${key}, and had ${before[key]} at the last backup`]
      : [],
  );
