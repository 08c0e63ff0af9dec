import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Keys } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';

/** DER in front of a raw ed25519 seed and a raw public key (RFC 8410). */
const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b6570032100', 'hex');
const PRIVATE = 'bkp-signing-';
const PUBLIC = 'bkp-ed25519-';

/** `keys` of the config, its secrets resolved when asked for. */
export interface KeySettings {
  recipients: readonly string[];
  identity?: () => string;
  signing?: () => string;
  trusted: readonly string[];
}

const missing = (setting: string, what: string): BkpError =>
  new BkpError('usage', `this host has no ${setting}, and ${what}`, {
    next: [`set ${setting} in the config`, 'bkp keygen --dir DIR makes keys'],
  });

/** Reads `bkp-signing-…`. Throws BkpError('usage') naming the setting, never the value. */
export function signingKey(text: string): KeyObject {
  const seed = Buffer.from(text.startsWith(PRIVATE) ? text.slice(PRIVATE.length) : '', 'base64url');
  if (seed.length !== 32)
    throw new BkpError('usage', `keys.signing is no signing key of bkp: it begins with ${PRIVATE}`, {
      next: 'bkp keygen --dir DIR makes one',
    });
  return createPrivateKey({ key: Buffer.concat([PRIVATE_DER, seed]), format: 'der', type: 'pkcs8' });
}

/** The text of a seed's private key, and of the public key that belongs to it. */
export const signingText = (seed: Uint8Array): string => PRIVATE + Buffer.from(seed).toString('base64url');
export const publicText = (key: KeyObject): string =>
  PUBLIC + createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_DER.length).toString('base64url');

const verifyBytesAside = promisify(verifyBytes);

const made = new Map<string, KeyObject>();

/** Made once: a list of thousands of backups asks for the same one each time. */
function publicKey(text: string): KeyObject {
  const known = made.get(text) ?? readPublicKey(text);
  made.set(text, known);
  return known;
}

function readPublicKey(text: string): KeyObject {
  const raw = Buffer.from(text.startsWith(PUBLIC) ? text.slice(PUBLIC.length) : '', 'base64url');
  if (raw.length !== 32)
    throw new BkpError('usage', `keys.trusted has "${text.slice(0, 20)}…", which is no verify key: it begins with ${PUBLIC}`);
  return createPublicKey({ key: Buffer.concat([PUBLIC_DER, raw]), format: 'der', type: 'spki' });
}

/** Passes an age identity file's text through; its lines are never shown. Throws BkpError('usage') naming the setting. */
function checkedIdentity(text: string): string {
  const lines = text.split('\n').filter(line => line.trim() !== '' && !line.startsWith('#'));
  const sealed = /^(-----BEGIN |age-encryption\.org)/.test(lines[0] ?? '');
  if (lines.length > 0 && (sealed || lines.every(line => /^AGE-(SECRET-KEY|PLUGIN)-/.test(line.trim())))) return text;
  throw new BkpError('usage', 'keys.identity is no age identity: its lines begin with AGE-SECRET-KEY-1', {
    next: 'name the file identity.txt that bkp keygen wrote, e.g. ${file:/etc/bkp/keys/identity.txt}',
  });
}

/** The keys of this host. Nothing is resolved before it is used. */
export function makeKeys(settings: KeySettings): Keys {
  let signer: { key: KeyObject; name: string } | undefined;
  const own = () => {
    if (!settings.signing) throw missing('keys.signing', 'every backup is signed');
    const key = signingKey(settings.signing());
    return { key, name: publicText(key) };
  };
  return {
    recipients: settings.recipients,
    identity() {
      if (!settings.identity) throw missing('keys.identity', 'the backups are encrypted');
      return checkedIdentity(settings.identity());
    },
    sign(bytes) {
      signer ??= own();
      return { key: signer.name, signature: signBytes(null, bytes, signer.key).toString('base64') };
    },
    own(purpose) {
      signer ??= own();
      // The seed is the end of PKCS #8's DER (RFC 8410).
      const seed = signer.key.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
      return Buffer.from(hkdfSync('sha256', seed, 'bkp own key v1', purpose, 32));
    },
    verify: (bytes, { key, signature }) =>
      settings.trusted.includes(key) && verifyBytes(null, bytes, publicKey(key), Buffer.from(signature, 'base64')),
    verifyAside: async (bytes, { key, signature }) =>
      settings.trusted.includes(key) && (await verifyBytesAside(null, bytes, publicKey(key), Buffer.from(signature, 'base64'))),
  };
}
