import { z } from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../core/config/checks.ts';
import type { Trial } from '../../../core/contracts.ts';

/** The checks of an entry. */
export const checks = checksOf(
  z.strictObject({
    ...expectation,
    prefix: z
      .string()
      .min(1)
      .describe('prefix of keys that are counted; objects of Kubernetes lie under /registry/, e.g. /registry/deployments/'),
  }),
);

export type Check = z.infer<typeof checks>[number];

/** What a check is called. */
export const nameOf = (check: Check): string => checkName(check, `keys ${check.prefix}`);

/** What a count means to whoever wrote the check. */
export const judgeCount = (check: Check, count: number): Omit<Trial, 'name'> => judgeFound(String(count), check);
