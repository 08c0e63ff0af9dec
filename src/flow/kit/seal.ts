import { BkpError, sentence } from '../../core/errors.ts';
import { identitiesOf } from '../derive.ts';

/** For whom a kit is sealed. */
export type KitLock = { passphrase: string } | { recipients: readonly string[] };
/** With what it is opened: the text of an identity file, or the passphrase. */
export type KitKey = { passphrase: string } | { identities: string };

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';

const library = () => import('age-encryption');

/** Recipients that belong to the identities of a text; those of other kinds than age's own cannot be told. */
export async function recipientsOf(identities: string): Promise<string[]> {
  const { identityToRecipient } = await library();
  const own = identitiesOf(identities).filter(line => /^AGE-SECRET-KEY-(PQ-)?1/.test(line));
  return Promise.all(own.map(line => identityToRecipient(line)));
}

/**
 * Seals a kit in this process, so that nothing of it passes through a file or another program.
 * @returns an armored age file: `age -d` opens it
 * @throws BkpError('usage') for a recipient that is none
 */
export async function sealKit(plain: Uint8Array, lock: KitLock): Promise<string> {
  const { armor, Encrypter } = await library();
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase);
  else
    for (const recipient of lock.recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (cause) {
        throw new BkpError('usage', `"${recipient}" is no recipient of age that bkp knows: ${sentence(cause)}`, {
          next: 'age-keygen makes a pair; its public key begins with age1',
          cause,
        });
      }
    }
  return `${armor.encode(await encrypter.encrypt(plain)).trim()}\n`;
}

const noKit = (why: string, cause?: unknown): BkpError =>
  new BkpError('verifyFailed', `this is no whole kit: ${why}`, cause === undefined ? {} : { cause });

async function sealedBytes(text: string): Promise<Uint8Array> {
  const from = text.indexOf(BEGIN);
  if (from < 0) throw noKit(`it has no line ${BEGIN}`);
  const to = text.indexOf(END, from);
  if (to < 0) throw noKit(`it has no line ${END}: its end is missing`);
  try {
    return (await library()).armor.decode(text.slice(from, to + END.length).replace(/[ \t\r]+$/gm, ''));
  } catch (cause) {
    throw noKit(`a letter is not as it was written (${sentence(cause)})`, cause);
  }
}

/** Whether a kit wants a passphrase; else it wants an identity. Throws BkpError('verifyFailed') for what is no kit. */
export const wantsPassphrase = async (text: string): Promise<boolean> =>
  /^-> scrypt /m.test(Buffer.from((await sealedBytes(text)).subarray(0, 4096)).toString('latin1'));

/**
 * Opens what `sealKit` sealed.
 * @param text that contains the armored file
 * @throws BkpError('usage') for another passphrase or identity, 'verifyFailed' for damage
 */
export async function openKit(text: string, key: KitKey): Promise<Buffer> {
  const sealed = await sealedBytes(text);
  const { Decrypter } = await library();
  const decrypter = new Decrypter();
  try {
    if ('passphrase' in key) decrypter.addPassphrase(key.passphrase);
    else for (const line of identitiesOf(key.identities)) decrypter.addIdentity(line);
  } catch {
    throw new BkpError('usage', 'the file of the identity holds no age identity: its lines begin with AGE-SECRET-KEY-1');
  }
  try {
    return Buffer.from(await decrypter.decrypt(sealed));
  } catch (cause) {
    if (/no identity matched/i.test(sentence(cause)))
      throw new BkpError('usage', `the kit was sealed for another ${'passphrase' in key ? 'passphrase' : 'identity'}`, {
        next: ['the sheet of the kit says who has it', 'and has its SHA-256: damage in the first lines looks like this too'],
        cause,
      });
    throw noKit(`age says: ${sentence(cause)}`, cause);
  }
}
