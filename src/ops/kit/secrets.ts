import { readFile } from 'node:fs/promises';
import { besideConfig, missingSecrets, parseConfig, resolveSecrets, type SecretSource } from '../../core/config/index.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { type Portable, portable } from '../../core/kit/portable.ts';
import { CONFIG, type KitMeta } from '../../core/kit/types.ts';
import { environmentsOf, type KitSource } from './source.ts';

/** Passwords by which a running source is asked: no restore into a directory needs them. */
const isSourcePassword = (path: string): boolean => /^environments\.[^.]+\.(?!stores\.)[^.]+\.[^.]+\.password$/.test(path);

/** Recipients and verify keys are no secrets, and are not hidden in what is shown. */
const sourceFor = (path: string, source: SecretSource): SecretSource =>
  /^keys\.(recipients|trusted)\b/.test(path) ? { env: source.env, readFile: source.readFile } : source;

/** The value of one reference, as the config's own place leads to it. Throws BkpError('usage'). */
export const referredValue = (source: Pick<KitSource, 'config' | 'secrets'>, path: string, reference: string): string =>
  resolveSecrets(besideConfig(reference, source.config.file), path, sourceFor(path, source.secrets));

/** Text of a file that a `${file:…}` reads back as this value: one newline at a file's end does not count. */
export const fileText = (value: string): string => (value.endsWith('\n') ? `${value}\n` : value);

/** A sentence when a reference cannot be read on this host. */
export const faultOf = (source: Pick<KitSource, 'config' | 'secrets'>, path: string, reference: string): string | undefined =>
  missingSecrets(besideConfig(reference, source.config.file), source.secrets, path)[0];

/** Whether stores are opened by keys of the kit alone. */
export function storeKeysOf({ config, origin }: Pick<KitSource, 'config' | 'origin'>): KitMeta['storeKeys'] {
  const { stores, kit } = config.environments[origin]!;
  return Object.fromEntries(
    Object.entries(stores).map(([name, { type }]) => [name, kit.stores[name] ? 'own' : type === 'directory' ? 'none' : 'shared']),
  );
}

/**
 * The config of the kit, and the values of all that it refers to.
 * @throws BkpError('usage') naming every reference that a restore needs and this host has not
 */
export function portableConfig(source: KitSource): { text: string; files: Map<string, Buffer> } & Pick<KitMeta, 'secrets' | 'leftOut'> {
  const { config, origin } = source;
  const leftOut: KitMeta['leftOut'][number][] = [];
  const options = { envs: environmentsOf(source), storesOf: origin, stores: config.environments[origin]!.kit.stores };
  const whole = portable(source.text, { ...options, leave: () => false });
  const faults = whole.secrets.flatMap(({ path, reference }) => {
    const fault = faultOf(source, path, reference);
    if (fault && isSourcePassword(path)) leftOut.push({ path, reference, why: 'the host that made it has it not' });
    return fault && !isSourcePassword(path) ? [fault] : [];
  });
  if (faults.length > 0)
    throw new BkpError('usage', [...new Set(faults)].join('\n'), {
      next: 'a kit that lacks one of these restores nothing: make it where they are',
    });
  const made = portable(source.text, { ...options, leave: path => leftOut.some(left => left.path === path) });
  refuseFaults(made, source);
  const files = new Map(
    made.secrets.map(({ path, reference, file }) => [file, Buffer.from(fileText(referredValue(source, path, reference)))]),
  );
  return { text: made.text, files, secrets: made.secrets.map(({ path, reference, file }) => ({ path, reference, file })), leftOut };
}

/** What `kit.stores` puts in was seen by no schema before. */
function refuseFaults(made: Portable, { registry }: KitSource): void {
  try {
    parseConfig(made.text, CONFIG, registry);
  } catch (cause) {
    throw new BkpError('usage', `the config would have faults in the kit: ${sentence(cause)}`, {
      next: 'look at `kit: { stores: … }` of the environment',
      cause,
    });
  }
}

/** Files of this host that the config names for the kit. Throws BkpError('usage') for one that cannot be read. */
export async function includedFiles(source: KitSource): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const env of environmentsOf(source))
    for (const path of source.config.environments[env]!.kit.include) {
      const bytes = await readFile(path).catch(cause => {
        throw new BkpError('usage', `environments.${env}.kit.include: ${path} cannot be read: ${sentence(cause)}`, { cause });
      });
      files.set(`files${path}`, bytes);
    }
  return files;
}
