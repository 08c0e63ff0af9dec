import type { Known, TargetContext } from '../core/contracts.ts';
import { BkpError } from '../core/errors.ts';
import { identitiesOf } from '../flow/derive.ts';
import { recipientsOf } from '../flow/kit/seal.ts';

const SHOWN = 3;

/** Undefined where this host has no identity, or one of a kind whose recipient only its own program can tell. */
async function ownRecipients(ctx: TargetContext): Promise<readonly string[] | undefined> {
  let text: string;
  try {
    text = ctx.keys.identity();
  } catch (error) {
    if (error instanceof BkpError) return undefined;
    throw error;
  }
  const own = await recipientsOf(text).catch(() => []);
  return own.length > 0 && own.length === identitiesOf(text).length ? own : undefined;
}

/**
 * Backups that no identity at hand opens, such as those from before a new key. A host without an identity restores nothing anyway.
 * @param own where the identities at hand stand, in words
 * @returns a sentence; undefined where there is none such
 */
export async function sealedForOthers(ctx: TargetContext, known: readonly Known[], own: string): Promise<string | undefined> {
  const ours = await ownRecipients(ctx);
  if (!ours) return undefined;
  const shut = known
    .map(({ manifest }) => manifest)
    .filter(({ recipients }) => recipients.length > 0 && !recipients.some(each => ours.includes(each)));
  if (shut.length === 0) return undefined;
  const ids = shut.slice(0, SHOWN).map(({ id }) => id);
  const more = shut.length > SHOWN ? ` and ${shut.length - SHOWN} more` : '';
  const others = [...new Set(shut.flatMap(({ recipients }) => recipients))];
  return (
    `${shut.length} of ${known.length} backup(s) are sealed for another key than ${own}, which opens none of them ` +
    `(${ids.join(', ')}${more}; sealed for ${others.join(', ')})`
  );
}
