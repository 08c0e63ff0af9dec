import type { Message } from '../../../src/core/notify/types.ts';

/** A message of a failed backup, changed. */
export const aMessage = (change: Partial<Message> = {}): Message => ({
  event: 'failure',
  env: 'production',
  target: 'redis/app',
  verb: 'backup',
  exit: 'failed',
  code: 1,
  title: 'bkp production: backup redis/app: FAILED',
  message: 'redis/app: FAILED: it does not answer',
  id: '',
  seconds: 1.5,
  host: 'h',
  at: '2026-01-15T02:00:00.000Z',
  run: '0c5e7d6a-0000-4000-8000-000000000000',
  ...change,
});
