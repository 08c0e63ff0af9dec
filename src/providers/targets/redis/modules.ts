import { BkpError } from '../../../core/errors.ts';
import type { Baseline } from './baseline.ts';
import type { Context } from './cli.ts';
import { modulesOf } from './info.ts';
import { called, type Live } from './live.ts';

/** The modules behind the data of a dump: by the names that the source had loaded, where those were recorded. */
export const modulesInWords = (types: readonly string[], recorded: Baseline | undefined): string =>
  `data of modules (of type ${types.join(', ')}${recorded?.modules.length ? `; the source had loaded ${recorded.modules.join(', ')}` : ''})`;

/**
 * A server ends itself over data of a module that it has not loaded: as a replica in the middle of the hand-over, when it has let go of its own
 * data, and then at each of its starts (tried on Redis 7.0). Which module a type belongs to is told nowhere: all that the source had are wanted.
 * @throws BkpError('refused')
 */
export function refuseModules(ctx: Context, { info }: Live, types: readonly string[], recorded: Baseline | undefined): void {
  const has = modulesOf(info);
  const wanted = recorded?.modules ?? [];
  const missing = wanted.filter(name => !has.includes(name));
  if (types.length === 0 || (wanted.length > 0 ? missing.length === 0 : has.length > 0)) return;
  const lacks = missing.length > 0 ? missing.join(', ') : 'any module';
  throw new BkpError(
    'refused',
    `the dump has ${modulesInWords(types, recorded)}, and ${called(ctx)} has not loaded ${lacks}: it would end itself over them`,
    { next: ['loadmodule FILE   # in its configuration, of each; then restart it', 'bkp restore redis --to DIR'] },
  );
}
