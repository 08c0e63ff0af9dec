import * as z from 'zod';
import { duration } from './fields.ts';

const word = z
  .string()
  .min(1)
  .refine(text => !/(?<!\$)\$\{/.test(text), {
    error: 'holds a reference, and everybody on the host sees arguments; allowed is `env` of the hooks',
  });

const command = z.array(word).min(1);

/** Programs that run around the backup of an entry. */
export const hooks = z
  .strictObject({
    before: command
      .optional()
      .describe('a program and its arguments, run before anything is taken, without a shell; when it fails, there is no backup'),
    after: command.optional().describe('run after a backup; when it fails, the run ends as partial'),
    onError: command.optional().describe('run instead when there is no backup, also when `before` failed or the run was ended'),
    timeout: duration.default('5m').describe('for each of them; then it is ended with all that it started'),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
      .default({})
      .describe('variables for them, beside BKP_*; the place for secrets'),
  })
  .prefault({})
  .describe('programs that run around `bkp backup`');
