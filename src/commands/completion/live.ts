import type { App } from '../../app.ts';
import { FULL_DR } from '../fulldr/parts.ts';
import type { Candidate, Live } from './candidates.ts';

/** How long a store may take to answer; nobody waits longer for a Tab. */
const WAIT_MS = 2000;

const within = <T>(work: Promise<T>, otherwise: T): Promise<T> =>
  Promise.race([work, new Promise<T>(resolve => setTimeout(() => resolve(otherwise), WAIT_MS).unref())]).catch(() => otherwise);

/** What a config and its stores know; nothing where there is no config, or it is none. */
export function liveOf(app: App | undefined, env: string | undefined, formatAge: (at: Date) => string): Live {
  const words = (names: readonly string[]): Candidate[] => names.map(word => ({ word }));
  const here = () => app?.env(env);
  const used = (): string[] =>
    Object.entries(here()?.targets ?? {}).flatMap(([kind, entries]) => (Object.keys(entries).length > 0 ? [kind] : []));
  const idsOf = async (kind: string, name: string): Promise<Candidate[]> => {
    const { listTarget } = await import('../../ops/list.ts');
    const { rows } = await listTarget(app!.target(env, kind, name).ctx);
    return rows.reverse().map(({ id, startedAt }) => ({ word: id, text: `${kind}/${name}, ${formatAge(new Date(startedAt))}` }));
  };
  const setsOf = async (): Promise<Candidate[]> => {
    const { readSets } = await import('../../ops/fulldr/sets.ts');
    const { sets } = await readSets(app!.stack(env));
    return sets.reverse().map(({ set: { id, startedAt } }) => ({ word: id, text: `set, ${formatAge(new Date(startedAt))}` }));
  };
  return {
    environments: async () => words(Object.keys(app?.config.environments ?? {})),
    kinds: async () => words(used()),
    names: async kind => words(Object.keys(here()?.targets[kind] ?? {})),
    stores: async () => words(Object.keys(here()?.stores ?? {})),
    ids: async (kind, name) => {
      if (kind === FULL_DR) return app ? within(setsOf(), []) : [];
      const all = (app?.select(env) ?? []).filter(each => (kind ?? each.kind) === each.kind && (name ?? each.name) === each.name);
      return (await Promise.all(all.map(each => within(idsOf(each.kind, each.name), [])))).flat();
    },
  };
}
