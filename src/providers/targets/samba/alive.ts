import { createConnection } from 'node:net';
import { BkpError } from '../../../core/errors.ts';
import type { Baseline } from './baseline.ts';

/** By which a DC is known: Kerberos, LDAP, SMB. */
const PORTS = { 88: 'Kerberos', 389: 'LDAP', 445: 'SMB' } as const;

const PATIENCE_MS = 2000;

/** Whether somebody takes a TCP connection there. */
const answers = (host: string, port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = createConnection({ host, port, timeout: PATIENCE_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .once('connect', () => end(true))
      .once('timeout', () => end(false))
      .once('error', () => end(false));
    // A resolver that says nothing is no time-out of the socket.
    setTimeout(() => end(false), 2 * PATIENCE_MS).unref();
  });

/** The first of the addresses where a DC answers, with its services in words. */
export async function liveDc(hosts: readonly string[]): Promise<string | undefined> {
  const found = await Promise.all(
    hosts.map(async host => {
      const open = await Promise.all(Object.entries(PORTS).map(async ([port, name]) => ((await answers(host, Number(port))) ? name : '')));
      const services = open.filter(Boolean);
      return services.length > 0 ? `${host} (${services.join(', ')})` : undefined;
    }),
  );
  return found.find(each => each !== undefined);
}

/** Every name and address under which a DC of the backup may still be reached. */
export const addressesOf = ({ dcs }: Pick<Baseline, 'dcs'>, server: string | undefined): string[] => [
  ...new Set([...(server === undefined ? [] : [server]), ...dcs.flatMap(dc => [...(dc.host === null ? [] : [dc.host]), ...dc.addresses])]),
];

/**
 * A restored domain beside its old DCs breaks both: two hold the same roles and hand out the same SIDs (SA10).
 * @throws BkpError('refused') when one of them answers
 */
export async function refuseLive(hosts: readonly string[]): Promise<void> {
  const live = await liveDc(hosts);
  if (live === undefined) return;
  throw new BkpError('refused', `a DC of the domain still answers at ${live}: a restored domain must never meet the old one`, {
    next: [
      'shut down every DC of the domain first',
      'a lost object or a lost DC needs no restore while another DC works: join a new DC to it',
      '--beside-live-dc restores a copy all the same, for a network apart',
    ],
  });
}
