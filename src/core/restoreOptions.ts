/** What was given: `true` for an option without a value, a list for one that may be given more than once. */
export type OptionValue = string | true | readonly string[];

/** An option that only one kind has. */
export interface KindOption {
  flags: string;
  text: string;
  many?: true;
  /** The engine of that kind that knows it; absent = each. */
  engine?: string;
  /** It says nothing with `--online`. */
  directory?: true;
}

/** The long name of an option without dashes. */
export const longName = (flags: string): string => /^--(\S+)/.exec(flags)?.[1] ?? '';

/**
 * What is wrong with an option that is given to a kind outside the command line, by its long name without dashes.
 * @returns the end of a sentence about it, undefined where nothing is wrong; the names that there are
 */
export function wrongOption(
  kind: string,
  name: string,
  value: unknown,
  engine?: unknown,
): { wrong: string | undefined; allowed: string[] } {
  const own = restoreOptions[kind] ?? [];
  const allowed = own.map(({ flags }) => longName(flags));
  const option = own.find(({ flags }) => longName(flags) === name);
  if (!option) return { wrong: `is no option of ${kind}`, allowed };
  if (option.engine && engine && option.engine !== engine) return { wrong: `is an option of engine ${option.engine} alone`, allowed };
  const takesValue = option.flags.includes('<');
  if (takesValue && value === true) return { wrong: 'wants a value', allowed };
  if (!takesValue && value !== true) return { wrong: 'takes no value but true', allowed };
  return { wrong: Array.isArray(value) && !option.many ? 'takes one value, no list' : undefined, allowed };
}

/** The options as they are given, by their long names without dashes. */
export const optionArgs = (options: Readonly<Record<string, OptionValue>>): string[] =>
  Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [value].flat().flatMap(each => [`--${name}`, each as string]),
  );

/**
 * Options of `bkp restore` that only one kind has, as commander writes them. They stand here and not with the targets, since help and
 * usage errors come before any target is loaded.
 */
export const restoreOptions: Readonly<Record<string, readonly KindOption[]>> = {
  samba: [
    { flags: '--server-name <name>', text: 'name of the DC that the restore makes; none that the domain had' },
    { flags: '--host-ip <ip>', text: 'its IPv4 address' },
    { flags: '--site <name>', text: 'site of the domain to put it into; default: Default-First-Site-Name' },
    { flags: '--beside-live-dc', text: 'although a DC of the domain still answers: for a copy that never meets it' },
  ],
  etcd: [
    { flags: '--name <member>', text: 'name of the restored member; default: default', directory: true },
    {
      flags: '--initial-cluster <list>',
      text: 'all members of the new cluster, NAME=PEER-URL,…; default: this one alone',
      directory: true,
    },
    { flags: '--initial-cluster-token <token>', text: 'token of the new cluster, the same on all members', directory: true },
    { flags: '--initial-advertise-peer-urls <urls>', text: 'peer URLs of this member; default: http://localhost:2380', directory: true },
  ],
  volumes: [
    { flags: '--server <id>', text: 'whose snapshot; needed where the backup has several', engine: 'server-snapshot' },
    { flags: '--new-server <name>', text: 'make a new server of this name from the snapshot', engine: 'server-snapshot' },
    { flags: '--server-type <type>', text: 'type of the new server; default: as it was', engine: 'server-snapshot' },
    { flags: '--location <location>', text: 'where the new server is made', engine: 'server-snapshot' },
    { flags: '--rebuild <id>', text: 'destroy the disk of this server and write the snapshot over it', engine: 'server-snapshot' },
    { flags: '--path <path>', text: 'of the backed-up paths only this one; its contents lie in the directory itself', engine: 'files' },
    {
      flags: '--include <pattern>',
      text: 'only files like this, e.g. docs/*.txt below the path, or a whole path; once for each',
      many: true,
      engine: 'files',
    },
  ],
};
