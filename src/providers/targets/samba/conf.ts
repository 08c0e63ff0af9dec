import { isAbsolute } from 'node:path';

/** Section → parameter → value. Names are small letters without blanks, as Samba compares them; the section `global` comes first. */
export type Conf = Map<string, Map<string, string>>;

const nameOf = (text: string): string => text.toLowerCase().replace(/\s+/g, '');

/** Reads a smb.conf. A line that ends with `\` goes on; `#` and `;` begin comments (smb.conf(5)). */
export function parseConf(text: string): Conf {
  const conf: Conf = new Map([['global', new Map()]]);
  let section = 'global';
  for (const line of text
    .replace(/\\\r?\n/g, '')
    .split('\n')
    .map(each => each.trim())) {
    const [, name] = /^\[(.*)\]$/.exec(line) ?? [];
    const [, key, value] = /^([^#;[][^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      section = /^globals?$/i.test(name.trim()) ? 'global' : name.trim();
      if (!conf.has(section)) conf.set(section, new Map());
    } else if (key !== undefined) conf.get(section)!.set(nameOf(key), value ?? '');
  }
  return conf;
}

/** A setting that names a place. */
export interface NamedPath {
  what: string;
  path: string;
  /** A restore puts it below its directory. */
  own: boolean;
}

const DIRECTORIES: Readonly<Record<string, string>> = {
  privatedir: 'private dir',
  lockdirectory: 'lock directory',
  lockdir: 'lock directory',
  statedirectory: 'state directory',
  cachedirectory: 'cache directory',
  binddnsdir: 'binddns dir',
};
const SHARES = ['sysvol', 'netlogon'];
const OTHERS: Readonly<Record<string, string>> = {
  tlskeyfile: 'tls keyfile',
  tlscertfile: 'tls certfile',
  tlscafile: 'tls cafile',
  include: 'include',
  ntpsignd: 'ntp signd socket directory',
};

/** Every place that a smb.conf names; those with `%` vary and are left out. */
export function pathsIn(conf: Conf): NamedPath[] {
  const global = [...(conf.get('global') ?? [])].flatMap(([key, path]): NamedPath[] => {
    const own = DIRECTORIES[key];
    const what = own ?? OTHERS[key];
    return what === undefined ? [] : [{ what, path, own: own !== undefined }];
  });
  const shares = [...conf].flatMap(([section, values]): NamedPath[] => {
    const path = values.get('path') ?? values.get('directory');
    return section === 'global' || !path ? [] : [{ what: `share ${section}`, path, own: SHARES.includes(section.toLowerCase()) }];
  });
  return [...global, ...shares].filter(({ path }) => isAbsolute(path) && !path.includes('%'));
}
