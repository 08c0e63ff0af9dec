import * as z from 'zod';
import { BkpError } from '../errors.ts';

/** Where a server listens. */
export interface Address {
  host: string;
  port: number;
  /** Only this host reaches it. */
  loopback: boolean;
}

const bad = (text: string, why: string): BkpError =>
  new BkpError('usage', `--listen ${text}: ${why}`, { next: '--listen 127.0.0.1:9187, or --listen [::1]:9187' });

/**
 * Reads `ADDRESS:PORT`; without an address it is 127.0.0.1. Names other than localhost are refused: they may come to mean anything.
 * @throws BkpError('usage')
 */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]:|([^:[\]]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined) throw bad(text, 'is no address with a port');
  if (port < 1 || port > 65_535) throw bad(text, 'the port has to be 1 to 65535');
  const named = bracketed ?? plain ?? '';
  const host = named === '' || named === 'localhost' ? '127.0.0.1' : named;
  if (!(bracketed === undefined ? z.ipv4() : z.ipv6()).safeParse(host).success) throw bad(text, 'is no IP address of this host');
  return { host, port, loopback: host.startsWith('127.') || host === '::1' };
}

/** What a server that looks now and then knows. Instants are milliseconds of one clock. */
export interface Looked {
  /** The newest look that came to its end and found a store that answers. */
  goodAt?: number;
  /** Why the newest look is none. */
  error?: string;
  /** How long the newest look took. */
  tookMs?: number;
}

/** Looks that may be missed before what is known counts as old. */
const MISSED = 3;

/** Why nobody may take what is known for the state of now; undefined = it is fresh. */
export function staleness({ goodAt, error }: Looked, everyMs: number, now: number): string | undefined {
  if (error !== undefined) return `the last look failed: ${error}`;
  if (goodAt === undefined) return 'nothing was looked at yet';
  const age = now - goodAt;
  return age > MISSED * everyMs ? `the last look is ${Math.round(age / 1000)} s old, and one is due every ${everyMs / 1000} s` : undefined;
}

/** The server's own figures in the text format of Prometheus: whether it may be believed, and how old what it knows is. */
export function ownFigures(env: string, looked: Looked, everyMs: number, now: number): string {
  const gauge = (name: string, help: string, value: number | undefined): string =>
    value === undefined ? '' : `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name}{env="${env}"} ${value}\n`;
  return [
    gauge('bkp_up', '1 = the newest look came to its end, and is not old.', Number(staleness(looked, everyMs, now) === undefined)),
    gauge('bkp_look_age_seconds', 'Age of the newest look that came to its end.', looked.goodAt && (now - looked.goodAt) / 1000),
    gauge('bkp_look_duration_seconds', 'How long the newest look took.', looked.tookMs === undefined ? undefined : looked.tookMs / 1000),
  ].join('');
}
