import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';

/** Whether a name or address is one of this host. A name that leads nowhere is not. */
export async function isHere(host: string): Promise<boolean> {
  const own = new Set(Object.values(networkInterfaces()).flatMap(each => (each ?? []).map(({ address }) => address)));
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.length > 0 && found.every(({ address }) => own.has(address) || address.startsWith('127.') || address === '::1');
}
