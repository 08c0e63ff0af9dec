import { resolve } from 'node:path';
import { resolveSecrets, type SecretSource, secretsIn } from '../../core/config/index.ts';
import { BkpError } from '../../core/errors.ts';
import type { Kit } from '../../ops/kit/open.ts';
import { askHidden } from '../hidden.ts';
import type { BareSession } from '../session.ts';

export interface LockFlags {
  passphrase?: boolean;
  passphraseFrom?: string;
  recipient?: string[];
}

export interface KeyFlags {
  passphraseFrom?: string;
  identity?: string;
}

/** What a reference on the command line stands for; a passphrase itself does not belong there. */
function referred(text: string, source: SecretSource): string {
  if (secretsIn(text).length !== 1 || !/^\$\{[^}]+\}$/.test(text))
    throw new BkpError('usage', '--passphrase-from takes where the passphrase is, never the passphrase itself', {
      next: "'${NAME}' is a variable, '${file:/path}' a file",
    });
  return resolveSecrets(text, '--passphrase-from', source);
}

/** With what a kit is sealed, by the flags or typed. Throws BkpError('usage' | 'aborted'). */
export async function lockOf({ passphrase, passphraseFrom, recipient }: LockFlags, session: BareSession, source: SecretSource) {
  const given = [passphrase, passphraseFrom !== undefined, recipient !== undefined].filter(Boolean).length;
  if (given !== 1)
    throw new BkpError('usage', 'a kit is sealed with a passphrase or for recipients, one of the two', {
      next: ['--passphrase asks for one', '--recipient age1… seals it for a key that is kept elsewhere'],
    });
  if (recipient) return { recipients: recipient };
  if (passphraseFrom !== undefined) return { passphrase: referred(passphraseFrom, source) };
  const typed = await askHidden('Passphrase of the kit (not shown): ', session.signal);
  source.onSecret?.(typed);
  if ((await askHidden('The same once more: ', session.signal)) !== typed)
    throw new BkpError('aborted', 'the two are not the same: nothing was written');
  return { passphrase: typed };
}

async function keyOf(text: string, { passphraseFrom, identity }: KeyFlags, session: BareSession) {
  const { source } = await import('../../app.ts');
  const { wantsPassphrase } = await import('../../ops/kit/open.ts');
  if (!(await wantsPassphrase(text))) {
    if (identity !== undefined) return { identities: resolveSecrets(`\${file:${resolve(identity)}}`, '--identity', source) };
    throw new BkpError('usage', 'the kit was sealed for a recipient', { next: '--identity FILE with the identity that belongs to it' });
  }
  if (passphraseFrom !== undefined) return { passphrase: referred(passphraseFrom, source) };
  const typed = await askHidden('Passphrase of the kit (not shown): ', session.signal);
  source.onSecret?.(typed);
  return { passphrase: typed };
}

/** A kit in memory, opened as the flags say or with what is typed. Throws BkpError('usage' | 'verifyFailed' | 'notFound'). */
export async function openFile(file: string, flags: KeyFlags, session: BareSession): Promise<Kit> {
  const { kitText, openedKit } = await import('../../ops/kit/open.ts');
  const text = await kitText(file);
  return openedKit(text, await keyOf(text, flags, session));
}
