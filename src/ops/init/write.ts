import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseConfig, type Registry } from '../../core/config/index.ts';
import { BkpError, sentence } from '../../core/errors.ts';
import { type Choices, configText, type Found, variablesOf } from '../../core/init/text.ts';
import { makeDir } from '../../flow/makeDir.ts';
import { exists } from '../../flow/place.ts';
import { keygen, keysBlock } from '../keygen.ts';

/** What was written. */
export interface Written {
  config: string;
  /** Key files; made by this run unless they were there. */
  keys: string[];
  made: boolean;
  /** Variables that the config refers to. */
  variables: string[];
}

const FILES = ['identity.txt', 'recipient.txt', 'signing.key', 'trusted.pub'] as const;

/** The keys of a directory; new ones where there are none. A set that is not whole is refused by `keygen`. */
async function keysIn(dir: string): Promise<{ files: string[]; block: string; made: boolean }> {
  const files = FILES.map(name => join(resolve(dir), name));
  if (!(await Promise.all(files.map(exists))).every(Boolean)) return { ...(await keygen(dir)), made: true };
  const [, recipient, , trusted] = await Promise.all(files.map(async file => (await readFile(file, 'utf8')).trim()));
  return { files, block: keysBlock(files, recipient!, trusted!), made: false };
}

/**
 * Writes a config over what was found, and keys where there are none.
 * @throws BkpError('refused') when the config is there already; nothing is overwritten, and a key is never made for nothing
 */
export async function writeConfig(
  found: Found,
  choices: Omit<Choices, 'keys'>,
  places: { config: string; keys: string },
  registry: Registry,
): Promise<Written> {
  const config = resolve(places.config);
  if (await exists(config))
    throw new BkpError('refused', `${config} is there already, and is not overwritten`, {
      next: ['--out FILE names another one', 'bkp config check looks at it'],
    });
  // Read as it would be: what this writes is never refused by the next command.
  const trial = { ...choices, keys: 'keys: { recipients: [age1trial], trusted: [bkp-ed25519-trial] }' };
  parseConfig(configText(found, trial), config, registry);
  const keys = await keysIn(places.keys);
  const all = { ...choices, keys: keys.block };
  try {
    await makeDir(dirname(config));
    await writeFile(config, configText(found, all), { mode: 0o640, flag: 'wx' });
  } catch (error) {
    throw new BkpError('failed', `${config} cannot be written: ${sentence(error)}`, {
      next: keys.made ? `the keys in ${dirname(keys.files[0]!)} are made: the next run takes them` : [],
      cause: error,
    });
  }
  return { config, keys: keys.files, made: keys.made, variables: variablesOf(found, all) };
}
