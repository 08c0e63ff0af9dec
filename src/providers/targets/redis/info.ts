/** The answer to INFO, by name. */
export type Info = ReadonlyMap<string, string>;

/** Reads `name:value` lines; headings and empty lines say nothing. What comes several times, as `module`, is kept line by line. */
export function parseInfo(text: string): Info {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^([a-z][\w.-]*):(.*)$/i.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const before = found.get(name);
    found.set(name, before === undefined ? value : `${before}\n${value}`);
  }
  return found;
}

/** Valkey 9 brings its scripts as a module. */
const BUILT_IN = 'lua';

/** Names of the modules that a server has loaded (from Redis 6 on), less those that it has of itself. */
export const modulesOf = (info: Info): string[] =>
  [...(info.get('module') ?? '').matchAll(/^name=([^,]+),/gm)].map(match => match[1]!).filter(name => name !== BUILT_IN);

/** A number of INFO; 0 where the server does not tell it. */
export const numberOf = (info: Info, name: string): number => Number(info.get(name) ?? 0) || 0;

/** Reads what `redis-cli` prints for CONFIG GET: a name on one line, its value on the next. */
export function parseSettings(text: string): ReadonlyMap<string, string> {
  const lines = text.split(/\r?\n/);
  const found = new Map<string, string>();
  for (let n = 0; n + 1 < lines.length; n += 2) if (lines[n] !== '') found.set(lines[n]!, lines[n + 1]!);
  return found;
}

/** Keys and those that expire, by number of the database, as INFO keyspace tells them. */
export function keyspace(info: Info): Record<string, { keys: number; expires: number }> {
  const found: Record<string, { keys: number; expires: number }> = {};
  for (const [name, value] of info) {
    const database = /^db(\d+)$/.exec(name)?.[1];
    const [, keys, expires] = /^keys=(\d+),expires=(\d+)/.exec(value) ?? [];
    if (database !== undefined && keys !== undefined) found[database] = { keys: Number(keys), expires: Number(expires) };
  }
  return found;
}

/** All keys of a server. */
export const keysIn = (info: Info): number => Object.values(keyspace(info)).reduce((sum, { keys }) => sum + keys, 0);
