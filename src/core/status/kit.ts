import { formatAge, formatDuration } from '../age.ts';
import type { KitCovers, KitRecord } from '../kit/record.ts';
import type { KitStatus, State, Why } from './types.ts';
import { stateOf } from './verdict.ts';

/** The newest records of an environment's kits, out of whichever store. */
export interface LastKits {
  exported?: KitRecord;
  proven?: KitRecord;
  failed?: KitRecord;
  /** Why stores do not tell. */
  silent: readonly string[];
  /** How many stores told. */
  told: number;
}

const added = (what: string, then: readonly string[], now: readonly string[]): string[] =>
  now.filter(name => !then.includes(name)).map(name => `${what} ${name}`);

/** What the config has that a kit was made without, a sentence each. */
export function kitLacks({ covers: then }: KitRecord, now: KitCovers): string[] {
  if (!then || then.config === now.config) return [];
  const keys = added('recipient', then.recipients, now.recipients);
  const rest = [...added('store', then.stores, now.stores), ...added('target', then.targets, now.targets)];
  return [
    ...(keys.length > 0 ? [`the newest kit is older than a key that was added: ${keys.join(', ')}`] : []),
    ...(rest.length > 0 ? [`the newest kit is older than the config, and lacks ${rest.join(', ')}`] : []),
    ...(keys.length + rest.length === 0 ? ['the newest kit is older than the config: what it says of a restore is another thing now'] : []),
  ];
}

const badCheck = ({ kit, at }: KitRecord, now: Date): string =>
  `the last check, ${formatAge(new Date(at), now)}, did not find kit ${kit} good: bkp kit check says why`;

/**
 * How it stands with the kit of an environment.
 * @param now what a kit would cover if it were made now
 * @param limit how old the newest may be; `asked` = beyond that, and where it lacks something, `status` is red
 */
export function kitStatus(last: LastKits, now: KitCovers, limit: { ms: number; asked: boolean }, at: Date): KitStatus {
  const { exported, proven } = last;
  const failed = last.failed && (!proven || last.failed.at > proven.at) ? last.failed : undefined;
  const state: State = limit.asked ? 'late' : 'ok';
  const age = exported ? at.getTime() - Date.parse(exported.at) : 0;
  const texts = exported
    ? [
        ...kitLacks(exported, now),
        ...(age > limit.ms
          ? [`the newest kit was exported ${formatAge(new Date(exported.at), at)}, and is to be no older than ${formatDuration(limit.ms)}`]
          : []),
      ]
    : last.told > 0
      ? ['a kit was never exported']
      : [];
  const why: Why[] = [
    ...texts.map((text): Why => ({ state, text })),
    // It may be for a store that did not answer, so it is no alarm.
    ...(failed ? [{ state: 'ok' as const, text: badCheck(failed, at) }] : []),
    ...last.silent.map((text): Why => ({ state: 'unknown', text: `which kits it has on record is not known: ${text}` })),
  ];
  return {
    state: stateOf(why),
    why,
    ...(limit.asked ? { everySeconds: limit.ms / 1000 } : {}),
    ...(exported ? { exported: { kit: exported.kit, at: exported.at, ...(exported.seal ? { seal: exported.seal } : {}) } } : {}),
    ...(failed ? { failed: { kit: failed.kit, at: failed.at } } : {}),
    ...(proven ? { proven: { kit: proven.kit, at: proven.at, deep: proven.deep ?? false } } : {}),
  };
}
