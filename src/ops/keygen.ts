import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BkpError } from '../core/errors.ts';
import { derivedKey, identitiesOf } from '../flow/derive.ts';
import { publicText, signingKey, signingText } from '../flow/keys.ts';
import { makeDir } from '../flow/makeDir.ts';

export interface MadeKeys {
  files: string[];
  /** The `keys:` block for the config, YAML. */
  block: string;
}

async function write(path: string, text: string): Promise<string> {
  try {
    await writeFile(path, `${text}\n`, { mode: 0o600, flag: 'wx' });
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new BkpError('refused', `${path} is there already, and keys are never overwritten: backups need them`, {
      next: 'keygen --dir with an empty directory makes a new set',
      cause: error,
    });
  }
}

/**
 * The `keys:` block of a config, YAML.
 * @param files paths of identity, recipient, signing key and verify key
 */
export const keysBlock = (files: readonly string[], recipient: string, trusted: string): string =>
  [
    'keys:',
    `  recipients: [${recipient}]`,
    `  identity: ${JSON.stringify(`\${file:${files[0]}}`)}   # only where restores and drills run`,
    `  signing: ${JSON.stringify(`\${file:${files[2]}}`)}    # only where backups run`,
    `  trusted: [${trusted}]`,
  ].join('\n');

/**
 * Makes the age pair and the signing pair in `dir`, each file mode 0600.
 * @throws BkpError('refused') when one of the files exists; nothing is overwritten
 */
export async function keygen(dir: string): Promise<MadeKeys> {
  const { generateIdentity, identityToRecipient } = await import('age-encryption');
  const at = resolve(dir);
  await makeDir(at, 0o700);
  const identity = await generateIdentity();
  const recipient = await identityToRecipient(identity);
  const signing = signingText(randomBytes(32));
  const trusted = publicText(signingKey(signing));
  const files = [
    await write(join(at, 'identity.txt'), identity),
    await write(join(at, 'recipient.txt'), recipient),
    await write(join(at, 'signing.key'), signing),
    await write(join(at, 'trusted.pub'), trusted),
  ];
  return { files, block: keysBlock(files, recipient, trusted) };
}

/** The derived key of one target for each identity of a file, in its order, with the recipient by which each is known. Throws BkpError('usage'). */
export async function derivedKeys(identities: string, base: string): Promise<{ recipient: string; key: string }[]> {
  const { identityToRecipient } = await import('age-encryption');
  return Promise.all(
    identitiesOf(identities).map(async identity => {
      const key = derivedKey(identity, base);
      return { recipient: await identityToRecipient(identity), key };
    }),
  );
}
