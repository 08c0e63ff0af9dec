import type { Finding, Known, TargetContext } from '../core/contracts.ts';
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

/** Backups of a store that are whole and that no identity of this host opens, such as those from before a new key. A host without an identity restores nothing anyway. */
export async function sealedForOthers(ctx: TargetContext, known: readonly Known[], store: string): Promise<Finding[]> {
  const own = await ownRecipients(ctx);
  if (!own) return [];
  const shut = known
    .map(({ manifest }) => manifest)
    .filter(({ recipients }) => recipients.length > 0 && !recipients.some(each => own.includes(each)));
  if (shut.length === 0) return [];
  const ids = shut.slice(0, SHOWN).map(({ id }) => id);
  const more = shut.length > SHOWN ? ` and ${shut.length - SHOWN} more` : '';
  const others = [...new Set(shut.flatMap(({ recipients }) => recipients))];
  const text =
    `${shut.length} of ${known.length} backup(s) are sealed for another key than keys.identity of this host, which opens none of them ` +
    `(${ids.join(', ')}${more}; sealed for ${others.join(', ')}) → put that identity into keys.identity too, a line each`;
  return [{ store, state: 'unproven', text }];
}
