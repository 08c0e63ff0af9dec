import { type KindOption, longName, restoreOptions } from './restoreOptions.ts';

/** What is restored, and how: what an option of `bkp restore` may say something to. */
export interface Restored {
  kind: string;
  /** Absent where the kind has one only, and for full-dr. */
  engine?: string;
  online: boolean;
}

const FULL_DR = 'full-dr';

interface Rule extends Pick<KindOption, 'engine' | 'directory'> {
  kinds: readonly string[];
  /** Kind → why it has no use for it, and what does it instead. */
  why?: Readonly<Record<string, string>>;
}

/** Options that are no kind's own, and that only some know; what stands in neither table is for all. */
const SHARED: Readonly<Record<string, Rule>> = {
  owner: {
    kinds: ['etcd', 'postgres', 'redis'],
    directory: true,
    why: {
      samba: 'a DC runs as root',
      volumes:
        'each file gets the owner back that it had: run it as root, and `chown -R` afterwards where they are to belong to somebody else',
    },
  },
  tablespace: { kinds: ['postgres'] },
  serve: { kinds: ['postgres'], why: { samba: 'a DC is started by you' } },
  online: { kinds: ['etcd', 'redis', 'volumes'] },
  skip: { kinds: [FULL_DR] },
  journal: { kinds: [FULL_DR] },
  restart: { kinds: [FULL_DR] },
};

const OWN: Readonly<Record<string, Rule>> = Object.fromEntries(
  Object.entries(restoreOptions).flatMap(([kind, options]) =>
    options.map((option): [string, Rule] => [longName(option.flags), { ...option, kinds: [kind] }]),
  ),
);

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

const NEXT: Readonly<Record<string, string>> = {
  [FULL_DR]: '`fullDr:` of an entry says how it comes back, and `fullDr.options` with which options of its kind',
};

function faultOf(name: string, { kinds, engine, directory, why }: Rule, to: Restored): { text: string; next?: string } | undefined {
  const because = why?.[to.kind];
  if (!kinds.includes(to.kind)) {
    const next = NEXT[to.kind] ?? (kinds.includes(FULL_DR) ? 'bkp restore full-dr …' : undefined);
    const text = `--${name} is an option of ${listed(kinds)}, and says nothing to ${to.kind}${because ? `: ${because}` : ''}`;
    return { text, ...(next ? { next } : {}) };
  }
  if (engine !== undefined && to.engine !== undefined && engine !== to.engine)
    return { text: `--${name} is an option of engine ${engine}, and says nothing to engine ${to.engine} of ${to.kind}` };
  if (directory && to.online)
    return { text: `--${name} is for a restore into a directory, and says nothing with --online`, next: 'leave it out, or --to DIR' };
  return undefined;
}

/**
 * The first of the options given to `bkp restore` that would do nothing for what is restored.
 * @param given long names without dashes
 * @returns a sentence and what to do next; undefined when each says something
 */
export function strayOption(given: readonly string[], to: Restored): { text: string; next?: string } | undefined {
  for (const name of given) {
    const rule = SHARED[name] ?? OWN[name];
    const fault = rule && faultOf(name, rule, to);
    if (fault) return fault;
  }
  return undefined;
}
