import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { TargetEntry } from '../core/config/types.ts';
import type { Check, Target, TargetContext } from '../core/contracts.ts';
import { sentence } from '../core/errors.ts';
import { assertOpens } from '../flow/age.ts';
import { diskChecks } from './doctorDisks.ts';
import { doctorStore, mended } from './doctorStore.ts';
import { lockGapChecks } from './immutability.ts';
import { onePlaceChecks } from './onePlace.ts';
import { assertTrusted } from './signer.ts';

async function attempt(name: string, state: Check['state'], work: () => string | Promise<string>): Promise<Check> {
  try {
    return { name, state: 'ok', text: await work() };
  } catch (error) {
    return { name, state, text: sentence(error), ...mended(error) };
  }
}

/** A host may lack either key; one that it has has to be right. */
async function* checkKeys({ keys }: TargetContext): AsyncGenerator<Check> {
  const signing = await attempt('signing key', 'warn', () => `${keys.sign(new Uint8Array()).key} signs`);
  yield signing.state === 'ok' ? await attempt('signing key', 'fail', () => `${assertTrusted(keys)} signs, and is trusted`) : signing;
  if (keys.recipients.length === 0) {
    yield { name: 'identity', state: 'ok', text: 'not needed: nothing is encrypted' };
    return;
  }
  const identity = await attempt('identity', 'warn', () => keys.identity() && 'there');
  yield identity.state === 'ok'
    ? await attempt('identity', 'warn', () =>
        assertOpens(keys.identity(), keys.recipients).then(() => 'there: this host can restore what it backs up'),
      )
    : identity;
}

async function checkTools(ctx: TargetContext): Promise<Check[]> {
  return Promise.all(
    ['zstd', 'age'].map(async (tool): Promise<Check> => {
      const path = ctx.run.which(tool);
      if (!path) return { name: tool, state: 'warn', text: 'missing: this process does its work, slower', mend: `apt-get install ${tool}` };
      try {
        const { stdout } = await ctx.run.text({ file: path, args: ['--version'] });
        return { name: tool, state: 'ok', text: `${/\d+\.\d+[.\d]*/.exec(stdout)?.[0] ?? 'of an unknown version'} at ${path}` };
      } catch (error) {
        return { name: tool, state: 'fail', text: sentence(error), mend: `apt-get install --reinstall ${tool}` };
      }
    }),
  );
}

const LITTLE = 64 * 1024 * 1024;

/** Identities, sockets and WAL on its way pass through it; dumps do not. */
async function checkTemp(ctx: TargetContext): Promise<Check> {
  const { bavail, bsize } = await statfs(await ctx.scratch());
  const free = bavail * bsize;
  const text = `${Math.floor(free / 1024 / 1024)} MiB free in ${tmpdir()}`;
  if (free >= LITTLE) return { name: 'temporary files', state: 'ok', text };
  return {
    name: 'temporary files',
    state: 'warn',
    text,
    mend: '`temp:` in the config names another directory; replay keeps a few WAL segments there',
  };
}

/**
 * Everything that one target's backup and restore need from this host, its stores and its source.
 * @param entry of the config, for what only its retention tells
 */
export async function* doctorTarget(target: Target, ctx: TargetContext, entry?: TargetEntry): AsyncGenerator<Check> {
  yield { name: 'node', state: 'ok', text: `${process.version} at ${process.execPath}` };
  yield* await checkTools(ctx);
  yield await checkTemp(ctx);
  yield* checkKeys(ctx);
  for (const store of ctx.stores) yield* doctorStore(store, ctx.base, ctx.clock);
  yield* await onePlaceChecks(ctx.stores, ctx.base);
  yield* await diskChecks(ctx.stores);
  if (entry) yield* lockGapChecks(ctx.stores, entry);
  yield* target.doctor(ctx);
}
