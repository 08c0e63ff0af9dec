import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../core/contracts.ts';

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) => wait(ms, undefined, signal ? { signal } : {}),
};
