import type { Check } from '../../../core/contracts.ts';
import { BkpError, sentence } from '../../../core/errors.ts';
import { type Context, hetznerOf } from './context.ts';
import { attachedOf, chosenServers } from './servers.ts';

const failed = (name: string, error: unknown): Check => ({
  name,
  state: 'fail',
  text: sentence(error),
  ...(error instanceof BkpError && error.next[0] ? { mend: error.next[0] } : {}),
});

/** Token, servers, what no snapshot covers, and what the snapshots cost. Makes nothing. */
export async function* doctor(ctx: Context): AsyncIterable<Check> {
  const hetzner = hetznerOf(ctx);
  try {
    const servers = await chosenServers(ctx, hetzner);
    yield { name: 'servers', state: 'ok', text: servers.map(({ id, name, status }) => `${name} (${id}, ${status})`).join(', ') };
    for (const text of servers.flatMap(attachedOf))
      yield {
        name: 'attached volumes',
        state: ctx.config.attached === 'leave' ? 'warn' : 'fail',
        text,
        mend: 'back their files up another way, and set `attached: leave`',
      };
    for (const { name, locked } of servers)
      if (locked)
        yield { name: 'lock', state: 'warn', text: `${name} is locked by an action that runs just now: a snapshot waits for its end` };
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield failed('servers', error);
    return;
  }
  try {
    const price = await hetzner.imagePrice();
    if (price) yield { name: 'price', state: 'ok', text: `${price.perGbMonth} ${price.currency} a month for each GB of snapshot` };
  } catch (error) {
    ctx.signal.throwIfAborted();
    yield failed('price', error);
  }
}
