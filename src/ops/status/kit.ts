import type { Check, StackContext, Store, TargetContext } from '../../core/contracts.ts';
import { parseDuration } from '../../core/duration.ts';
import { environmentBase } from '../../core/key.ts';
import { kitStatus } from '../../core/status/kit.ts';
import type { KitStatus } from '../../core/status/types.ts';
import { coversOf } from '../kit/covers.ts';
import type { KitSource } from '../kit/source.ts';
import { kitRecords, lastKits } from '../records/kit.ts';

/** The config of which a kit would be made. */
type Told = Pick<KitSource, 'config' | 'text' | 'registry' | 'env'>;

async function health(told: Told, stack: Pick<StackContext, 'base' | 'keys' | 'report'>, stores: readonly Store[], at: Date) {
  const { kit, restoresFrom } = told.config.environments[told.env]!;
  const now = coversOf({ ...told, origin: restoresFrom ?? told.env }, stack.keys.recipients);
  const limit = { ms: parseDuration(kit.every ?? kit.maxAge), asked: kit.every !== undefined };
  return kitStatus(await lastKits(stores, kitRecords(stack)), now, limit, at);
}

/**
 * How it stands with the kit of an environment, by what its stores have on record. Throws nothing of a store.
 * @param ctx any target of the environment
 * @param stores those that are asked
 */
export const kitHealth = (told: Told, ctx: TargetContext, stores: readonly Store[], at: Date): Promise<KitStatus> =>
  health(told, { ...ctx, base: environmentBase(ctx.base) }, stores, at);

/** The same as a check of `doctor`: it warns, and never fails. */
export async function kitCheck(told: Told, stack: StackContext): Promise<Check> {
  const { why, exported, proven, failed } = await health(told, stack, stack.stores, stack.clock.now());
  const made = exported ? `exported ${exported.at}` : 'never exported';
  const tried = proven ? `last found good ${proven.at}` : failed ? 'never found good' : 'never checked';
  if (why.length === 0) return { name: 'kit', state: 'ok', text: `${made}, ${tried}` };
  const mend = 'bkp kit export --out FILE --passphrase   # then: bkp kit check FILE --deep';
  return { name: 'kit', state: 'warn', text: why.map(({ text }) => text).join('; '), mend };
}
