import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Check, Target, TargetContext } from '../core/contracts.ts';
import { BkpError, sentence } from '../core/errors.ts';
import { doctorStore, mended } from './doctorStore.ts';

function checkKeys(ctx: TargetContext): Check[] {
  const probe = createHash('sha256').update('probe').digest();
  const attempt = (name: string, work: () => string, missing: Check['state']): Check => {
    try {
      return { name, state: 'ok', text: work() };
    } catch (error) {
      return {
        name,
        state: missing,
        text: sentence(error),
        ...mended(error),
      };
    }
  };
  return [
    attempt(
      'signing key',
      () => {
        const signed = ctx.keys.sign(probe);
        if (!ctx.keys.verify(probe, signed))
          throw new BkpError(
            'usage',
            `the signing key of this host (${signed.key}) is not among keys.trusted: nothing that it signs could be restored`,
            { next: `add ${signed.key} to keys.trusted` },
          );
        return `${signed.key} signs, and is trusted`;
      },
      'warn',
    ),
    attempt(
      'identity',
      () => (ctx.keys.recipients.length === 0 ? 'not needed: nothing is encrypted' : ctx.keys.identity() && 'there: this host can restore'),
      'warn',
    ),
  ];
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

/** Everything that one target's backup and restore need from this host, its stores and its source. */
export async function* doctorTarget(target: Target, ctx: TargetContext): AsyncGenerator<Check> {
  yield { name: 'node', state: 'ok', text: `${process.version} at ${process.execPath}` };
  yield* await checkTools(ctx);
  yield await checkTemp(ctx);
  yield* checkKeys(ctx);
  for (const store of ctx.stores) yield* doctorStore(store, ctx.base, ctx.clock);
  yield* target.doctor(ctx);
}
