import { formatAge } from '../../core/age.ts';
import type { Keys } from '../../core/contracts.ts';
import { parseDuration } from '../../core/duration.ts';
import { sentence } from '../../core/errors.ts';
import { differences, saidBy } from '../../core/kit/said.ts';
import { type KitMeta, META } from '../../core/kit/types.ts';
import { decodeSigned } from '../../core/signed.ts';
import { type KitFiles, sha256 } from '../../flow/kit/archive.ts';
import { recipientsOf } from '../../flow/kit/seal.ts';
import type { Kit } from './open.ts';
import { faultOf, fileText, referredValue } from './secrets.ts';
import { environmentsOf, type KitSource, parsedAlike } from './source.ts';

/**
 * Whether a kit was made by somebody whom this config trusts.
 * @returns `bad` for a signature that is not trusted, `note` for none
 */
export function signatureOf({ files }: Kit, keys: Keys): { bad?: string; note?: string } {
  const record = files.get(META)!;
  if (record.subarray(record.indexOf('\n') + 1).length === 0)
    return { note: 'the kit is not signed: it was made on a host without the signing key' };
  try {
    decodeSigned(record, keys.verify, META);
    return {};
  } catch (error) {
    return { bad: sentence(error) };
  }
}

/** Values that were put into the kit and are other ones on this host now; `unknown` = this host has them not. */
function secretsSince(source: KitSource, meta: KitMeta, files: KitFiles): { stale: string[]; unknown: string[] } {
  const stale: string[] = [];
  const unknown: string[] = [];
  for (const { path, reference, file } of meta.secrets) {
    if (faultOf(source, path, reference)) unknown.push(path);
    else if (fileText(referredValue(source, path, reference)) !== files.get(file)?.toString('utf8'))
      stale.push(`${path} (${reference}) has another value than in the kit`);
  }
  return { stale, unknown };
}

/** Identities of this host that the kit lacks. */
async function identitiesSince({ config, opened }: KitSource, meta: KitMeta): Promise<{ stale: string[]; unknown: string[] }> {
  if (config.keys.identity === undefined) return { stale: [], unknown: [] };
  try {
    const own = await recipientsOf(opened[0]!.ctx.keys.identity());
    const stale = own.filter(each => !meta.opens.includes(each)).map(each => `the identity of ${each} is not in the kit`);
    return { stale, unknown: [] };
  } catch {
    return { stale: [], unknown: ['keys.identity'] };
  }
}

/**
 * What has changed on the platform since a kit was made, a sentence each.
 * @returns `unknown`: settings whose secrets are not on this host, so that nobody can tell
 */
export async function staleness(source: KitSource, meta: KitMeta, files: KitFiles): Promise<{ stale: string[]; unknown: string[] }> {
  const said = saidBy(parsedAlike(source), environmentsOf(source), text => sha256(text).slice(0, 16));
  const secrets = secretsSince(source, meta, files);
  const identities = await identitiesSince(source, meta);
  return {
    stale: [...differences(meta.said, said), ...secrets.stale, ...identities.stale],
    unknown: [...secrets.unknown, ...identities.unknown],
  };
}

/**
 * A sentence when a kit is older than it may be.
 * @param maxAge duration, as in `kit.maxAge` of the environment
 */
export function tooOld({ madeAt }: KitMeta, maxAge: string, now: Date): string | undefined {
  const made = new Date(madeAt);
  if (now.getTime() - made.getTime() <= parseDuration(maxAge)) return undefined;
  return `the kit was made ${formatAge(made, now)}, and is to be no older than ${maxAge}`;
}
