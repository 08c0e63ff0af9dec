import { placeOf } from './cross.ts';
import { refuseFaults } from './parse.ts';
import type { Fault, Path } from './position.ts';
import { resolveSecrets, type SecretSource, secretsIn } from './secrets.ts';
import type { Config } from './types.ts';

/** Fields of an entry that are one path. */
const PATHS = ['dataDir', 'spool'] as const;

/** What tells the place of a store, and nothing that is secret. */
const PLACE = ['type', 'path', 'endpoint', 'region', 'bucket'] as const;

const picked = (settings: Readonly<Record<string, unknown>>, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(fields.filter(field => typeof settings[field] === 'string').map(field => [field, settings[field]]));

/** `the variable A`, `the variable A and the file /b`; empty where nothing is referred to. */
const referred = (...trees: unknown[]): string =>
  [...new Set(trees.flatMap(tree => secretsIn(tree)).map(({ from, name }) => `the ${from === 'env' ? 'variable' : 'file'} ${name}`))].join(
    ' and ',
  );

/** What this host cannot read is told when it is used: no host needs all. */
function expanded<T>(tree: T, source: SecretSource): T | undefined {
  try {
    return resolveSecrets(tree, '', source);
  } catch {
    return undefined;
  }
}

/** What a variable says is not repeated: it may be another one than was meant, and secret. */
function* ofPath(value: unknown, path: Path, source: SecretSource): Generator<Fault> {
  if (typeof value !== 'string' || !referred(value)) return;
  const full = expanded(value, source);
  if (full !== undefined && !/^\/[^\0\n]*$/.test(full))
    yield { path, text: `with ${referred(value)} it is no absolute path; allowed is one that begins with /` };
}

function* ofStores(stores: Config['environments'][string]['stores'], path: Path, source: SecretSource): Generator<Fault> {
  const first = new Map<string, string>();
  for (const [name, settings] of Object.entries(stores)) {
    const at = [...path, 'stores', name];
    if (settings.type === 'directory') yield* ofPath(settings['path'], [...at, 'path'], source);
    const full = expanded(picked(settings, PLACE), source);
    if (!full) continue;
    const place = placeOf(full);
    const other = first.get(place);
    const by = other === undefined ? '' : referred(picked(stores[other]!, PLACE), picked(settings, PLACE));
    if (by) yield { path: at, key: true, text: `with ${by} it is the place of store "${other}"; allowed is one store a place` };
    first.set(place, other ?? name);
  }
}

function* faultsOf({ temp, environments }: Config, source: SecretSource): Generator<Fault> {
  yield* ofPath(temp, ['temp'], source);
  for (const [name, { stores, targets }] of Object.entries(environments)) {
    const path = ['environments', name];
    yield* ofStores(stores, path, source);
    for (const [kind, entries] of Object.entries(targets))
      for (const [entry, settings] of Object.entries(entries))
        for (const field of PATHS) yield* ofPath(settings[field], [...path, kind, entry, field], source);
  }
}

/**
 * What holds for paths and places that are written out holds for those with a `${…}` too, by what it says on this host: paths are absolute,
 * and no two stores of an environment are one place. A reference that cannot be read here is passed over.
 * @param text of the file that the config was read from
 * @throws BkpError('usage') as `parseConfig`, naming the variables
 */
export const refuseExpanded = (config: Config, text: string, source: SecretSource): void =>
  refuseFaults(text, config.file, [...faultsOf(config, source)]);
