import { type Config, withoutSecrets } from '../../core/config/index.ts';
import type { KitCovers } from '../../core/kit/record.ts';
import { saidBy } from '../../core/kit/said.ts';
import { sha256 } from '../../flow/kit/archive.ts';
import { environmentsOf, type KitSource, parsedAlike } from './source.ts';

const entriesOf = (config: Config, env: string): string[] =>
  Object.entries(config.environments[env]!.targets).flatMap(([kind, entries]) => Object.keys(entries).map(name => `${kind}/${name}`));

/**
 * What a kit of an environment covers if it is made now: a hash of all that a restore depends on in the config, without the secrets that
 * may be written out there, and names.
 * @param recipients to which this platform seals
 */
export function coversOf(source: Pick<KitSource, 'text' | 'registry' | 'env' | 'origin'>, recipients: readonly string[]): KitCovers {
  const { env, origin } = source;
  const config = withoutSecrets(parsedAlike(source));
  const said = Object.entries(saidBy(config, environmentsOf(source), text => text)).sort(([a], [b]) => (a < b ? -1 : 1));
  const there = entriesOf(config, origin);
  return {
    config: sha256(JSON.stringify([said, recipients])),
    targets: entriesOf(config, env).filter(each => there.includes(each)),
    stores: Object.keys(config.environments[origin]!.stores),
    recipients: [...recipients],
  };
}
