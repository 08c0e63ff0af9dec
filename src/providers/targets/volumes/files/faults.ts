import type { Store } from '../../../../core/contracts.ts';
import { BkpError, sentence } from '../../../../core/errors.ts';
import { type Context, who } from './context.ts';
import { type Ended, words } from './program.ts';

/** Another restic has the repository, and neither is dead. */
export const isLocked = (text: string): boolean => /already locked/.test(text);

/** What the store said last when it did not let restic delete a lock, of which a stack trace follows; undefined where that was not the fault. */
export const keptBy = (lines: readonly string[]): string | undefined => lines.findLast(line => line.startsWith('Remove(<lock/'));

const isWrongPassword = (text: string): boolean => /wrong password or no key found/.test(text);
/** What a write says where there is no room. */
export const isFull = (text: string): boolean => /no space left on device|disk quota exceeded/i.test(text);
/** restic 0.14 on objects that are flipped, exchanged, cut or gone: it says so of the file or the tree that needs them. */
const isDamaged = (text: string): boolean =>
  /ciphertext verification failed|invalid data returned|StreamPack|not found in repository|hash does not match|Unmarshal: /.test(text);
const isAway = (text: string): boolean =>
  /connection refused|no such host|i\/o timeout|connection reset|EOF|503|no route to host|context deadline|dial tcp/i.test(text);

/**
 * What restic's end means to the person: a sentence with the store, its cause and the next step.
 * @param text what it said
 */
export function faultOf(ctx: Context, store: Store, what: string, text: string): BkpError {
  const said = `${who(ctx)}: restic ${what} in store ${store.name}`;
  if (isWrongPassword(text))
    return new BkpError('usage', `${said}: the password does not open the repository`, {
      next: `bkp keygen --derive ${who(ctx)} prints the one that is derived; a repository that was there before has its own: \`password:\` in the entry`,
    });
  if (isLocked(text))
    return new BkpError('conflict', `${said}: another restic has locked the repository: ${text.split('\n')[0]}`, {
      next: 'wait for its end; a lock of a run that died elsewhere is stale after 30 minutes, and taken away by the next run then',
    });
  // Restoring writes to no store.
  if (isFull(text) && /^(restore|dump)\b/.test(what))
    return new BkpError('failed', `${said}: there is no space left where it comes back: ${text}`, {
      next: 'free some space there, or restore elsewhere: --to',
    });
  if (isFull(text))
    return new BkpError('storeUnreachable', `${said}: there is no space left: ${text}`, {
      next: `free some space there: bkp prune volumes ${ctx.name}`,
    });
  if (isDamaged(text))
    return new BkpError('verifyFailed', `${said}: an object of the repository is damaged or gone: ${text}`, {
      next: `bkp verify volumes ${ctx.name} --deep names it, and looks into the other stores; --from takes one of them`,
    });
  if (isAway(text)) return new BkpError('storeUnreachable', `${said}: ${text}`, { next: 'bkp doctor shows how the store answers' });
  return new BkpError('failed', `${said}: ${text}`, { next: 'bkp doctor volumes shows what is wrong with the stores' });
}

/** What reading from restic ended with; one that was given up has the words for it already. */
export const readFault = (ctx: Context, store: Store, what: string, error: unknown): unknown =>
  (error instanceof BkpError && error.exit !== 'storeUnreachable') || isFull(String(error))
    ? faultOf(ctx, store, what, sentence(error))
    : error;

/** @throws BkpError when restic did not end well */
export function refuseFailed(ctx: Context, store: Store, what: string, { code, signal, lines }: Ended): void {
  if (code === 0) return;
  const how = signal ? `was ended by signal ${signal}` : `ended with exit code ${code}`;
  const text = words(lines);
  throw faultOf(ctx, store, what, `${text} (it ${how})`);
}
