import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import type { Event, TargetContext } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { withHooks } from '../../src/ops/hooks.ts';
import { systemRunner } from '../../src/system/runner.ts';
import { removeTemp, tempDir } from '../real/rig/index.ts';

const dir = tempDir();
afterAll(() => removeTemp(dir));

const context = (events: Event[] = []): TargetContext =>
  ({
    env: 'production',
    kind: 'redis',
    name: 'app',
    run: systemRunner,
    report: { emit: (event: Event) => void events.push(event) },
    redact: (text: string) => text.replaceAll('s3cret', '[redacted]'),
    signal: new AbortController().signal,
  }) as unknown as TargetContext;

const hooks = { timeoutMs: 5000, env: {} };

it('CF04: what a hook is told of an error holds no secret', async () => {
  const file = join(dir, 'message');
  const onError = ['sh', '-c', 'printf %s "$BKP_MESSAGE" >"$1"', 'sh', file];
  const work = async (): Promise<never> => {
    throw new BkpError('storeUnreachable', 'the key s3cret is wrong');
  };
  await expect(withHooks(context(), { ...hooks, onError }, work, () => ({}))).rejects.toMatchObject({ exit: 'storeUnreachable' });
  expect(readFileSync(file, 'utf8')).toBe('the key [redacted] is wrong');
});

it('a hook that floods is heard to its end and told in part', async () => {
  const events: Event[] = [];
  const { result } = await withHooks(
    context(events),
    { ...hooks, before: ['seq', '1', '5000'] },
    async () => 'done',
    () => ({}),
  );
  expect(result).toBe('done');
  expect(events).toHaveLength(201);
  expect(events.at(-1)).toEqual({ type: 'note', text: 'redis/app: hook before: 4800 more line(s)' });
});
