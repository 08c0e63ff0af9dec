import { BkpError, sentence } from '../errors.ts';
import { dotted, type Fault, type Path } from './position.ts';

/** Where secrets come from. `onSecret` is told every value that came out, for a redactor. */
export interface SecretSource {
  env: Readonly<Record<string, string | undefined>>;
  /** The file's text, byte for byte; throws when it cannot be read. */
  readFile(path: string): string;
  onSecret?(value: string): void;
  /** What is no plain setting, such as a host or a path, stays as the `${…}` that it is, and is not read. */
  keep?: boolean;
}

/** One `${…}` of the config. */
export interface SecretRef {
  /** `environments.production.postgres.app.password` */
  path: string;
  from: 'env' | 'file';
  /** Name of the variable, or path of the file. */
  name: string;
}

const TOKEN = /\$\$\{|\$\{([^}]*)\}?/g;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Fields whose values are secret even when they stand in the file itself. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'password',
  'secretKey',
  'identity',
  'signing',
  'token',
  'url',
  'pgpKey',
  'pgpPassphrase',
  'libsodiumKey',
]);

/** Maps whose values are secret, whatever they are called; what says only how a body is written is none. */
const SECRET_MAPS: ReadonlySet<string> = new Set(['headers', 'env']);
const PLAIN_HEADER = /^(content-type|accept)$/i;

/** Settings of another program by their own names, such as WALG_LIBSODIUM_KEY: they may be put where they do not belong. */
const SECRET_NAME = /^[A-Z0-9]+_.*(KEY|PASS|SECRET|TOKEN)/;

/** Fields that say where something is: what a variable puts there may be shown, and a restore has to name its place. */
const PLAIN_FIELDS: ReadonlySet<string> = new Set([
  'dataDir',
  'spool',
  'owner',
  'path',
  'bin',
  'host',
  'user',
  'database',
  'bucket',
  'region',
  'endpoint',
]);

/** The field that a value stands in, for one of a list that list's, and the map around it. */
function fieldOf(path: Path): { map: string; field: string } {
  const [map = '', field = ''] = [
    '',
    ...dotted(path)
      .split('.')
      .filter(part => !/^\d+$/.test(part)),
  ].slice(-2);
  return { map, field };
}

/** Whether the value at a path is a secret by its field's name. */
export const isSecretField = (path: Path): boolean => {
  const { map, field } = fieldOf(path);
  return SECRET_FIELDS.has(field) || SECRET_NAME.test(field) || (SECRET_MAPS.has(map) && !PLAIN_HEADER.test(field));
};

/** Only the field itself counts: an entry, a store or a notifier may be called `user` or `path`, and holds secrets all the same. */
const isPlain = (path: Path): boolean => PLAIN_FIELDS.has(fieldOf(path).field) && !isSecretField(path);

/** Calls `change` for every text in a tree of plain data, and gives the tree back with its answers. */
function mapTexts(value: unknown, path: Path, change: (text: string, path: Path) => unknown): unknown {
  if (typeof value === 'string') return change(value, path);
  if (Array.isArray(value)) return value.map((item, n) => mapTexts(item, [...path, n], change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, [...path, key], change)]));
}

function refOf(token: string, inside: string | undefined, path: string): SecretRef | undefined {
  if (token === '$${' || !token.endsWith('}') || inside === undefined) return undefined;
  if (/^file:\.?\//.test(inside)) return { path, from: 'file', name: inside.slice('file:'.length) };
  return VARIABLE.test(inside) ? { path, from: 'env', name: inside } : undefined;
}

const BAD =
  'holds a "${" that is no reference; allowed: ${NAME}, ${file:/absolute/path}, ${file:./path beside the config}, and $${ for a literal ${';

/** Faults of every `${` that is neither `${NAME}` nor `${file:/path}` nor `${file:./path}`. */
export function badReferences(data: unknown): Fault[] {
  const faults: Fault[] = [];
  mapTexts(data, [], (text, path) => {
    const tokens = [...text.matchAll(TOKEN)];
    if (tokens.some(([token, inside]) => token !== '$${' && !refOf(token, inside, ''))) faults.push({ path, text: BAD });
  });
  return faults;
}

/**
 * The tree with every `${file:./path}` leading from the directory of the config, not from where the program was started.
 * @param file path of the config
 */
export const besideConfig = <T>(tree: T, file: string): T => {
  const dir = file.slice(0, file.lastIndexOf('/') + 1);
  const base = dir.startsWith('/') ? dir : `./${dir.replace(/^\.\//, '')}`;
  return mapTexts(tree, [], text =>
    text.replace(TOKEN, token => (token.startsWith('${file:./') ? token.replace('${file:./', () => `\${file:${base}`) : token)),
  ) as T;
};

/** Every reference in a tree, in its order. `path` is what the names begin with. */
export function secretsIn(tree: unknown, path = ''): SecretRef[] {
  const refs: SecretRef[] = [];
  mapTexts(tree, path ? [path] : [], (text, at) => {
    for (const [token, inside] of text.matchAll(TOKEN)) {
      const ref = refOf(token, inside, dotted(at));
      if (ref) refs.push(ref);
    }
  });
  return refs;
}

function read(ref: SecretRef, source: SecretSource): string {
  if (ref.from === 'file') return source.readFile(ref.name).replace(/\r?\n$/, '');
  const value = Object.hasOwn(source.env, ref.name) ? source.env[ref.name] : undefined;
  if (value === undefined) throw new Error('it is not set');
  return value;
}

function faultOf(ref: SecretRef, source: SecretSource): string | undefined {
  try {
    read(ref, source);
    return undefined;
  } catch (error) {
    return `${ref.path} needs the ${ref.from === 'env' ? 'variable' : 'file'} ${ref.name}: ${sentence(error)}`;
  }
}

/** A sentence for every reference of the tree that cannot be read now; empty when all can. */
export const missingSecrets = (tree: unknown, source: SecretSource, path = ''): string[] =>
  secretsIn(tree, path).flatMap(ref => faultOf(ref, source) ?? []);

/**
 * The subtree with every `${NAME}` and `${file:/path}` replaced, byte for byte; one newline at a file's end is dropped.
 * @param path where the subtree stands in the config, for messages
 * @throws BkpError('usage') naming every setting with its missing variable or unreadable file
 */
export function resolveSecrets<T>(subtree: T, path: string, source: SecretSource): T {
  const faults = source.keep ? [] : missingSecrets(subtree, source, path);
  if (faults.length) throw new BkpError('usage', faults.join('\n'), { next: 'Set it, or see all that is missing with: bkp config check' });
  return mapTexts(subtree, [path], (text, at) => {
    const value = text.replace(TOKEN, (token, inside) => {
      const ref = refOf(token, inside, dotted(at));
      if (!ref) return token === '$${' ? '${' : token;
      if (source.keep && !isPlain(at)) return token;
      const secret = read(ref, source);
      if (!isPlain(at)) source.onSecret?.(secret);
      return secret;
    });
    if (isSecretField(at)) source.onSecret?.(value);
    return value;
  }) as T;
}

/** The tree as it may be shown: `${…}` stays, secrets written out in fields such as `password` do not. */
export const withoutSecrets = <T>(tree: T): T =>
  mapTexts(tree, [], (text, path) => {
    if (!isSecretField(path)) return text;
    const rest = text.replace(TOKEN, (token, inside) => (refOf(token, inside, '') ? '' : token));
    return rest === '' ? text : '[redacted]';
  }) as T;

/** Like `resolveSecrets`, field by field as each is first read: what is not used may be missing. Throws then, as that does. */
export function lazySecrets<T extends object>(subtree: T, path: string, source: SecretSource): T {
  const lazy = {};
  for (const [key, value] of Object.entries(subtree)) {
    let resolved: { value: unknown } | undefined;
    const get = (): unknown => {
      resolved ??= { value: resolveSecrets({ [key]: value }, path, source)[key] };
      return resolved.value;
    };
    Object.defineProperty(lazy, key, { enumerable: true, get });
  }
  return lazy as T;
}
