import type { TargetEntry } from '../../config/types.ts';
import type { Job } from '../jobs.ts';
import { type Host, hostOf } from '../place.ts';

/** What no job of bkp needs of its host. V8 writes code while it runs, so memory that is both is not forbidden. */
const COMMON = [
  'NoNewPrivileges=yes',
  'UMask=0077',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'ProtectSystem=strict',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectControlGroups=yes',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'KeyringMode=private',
  'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
  'SystemCallArchitectures=native',
];

const CALLS = ['SystemCallFilter=@system-service', 'SystemCallFilter=~@privileged @resources @obsolete'];

/** A user's own processes, and nothing that root may. */
const UNPRIVILEGED = ['ProtectProc=invisible', 'CapabilityBoundingSet=', 'AmbientCapabilities=', ...CALLS];

/** Root on a server node: it reads what K3s has, and may nothing else beyond its own files. */
const READER = ['CapabilityBoundingSet=CAP_DAC_READ_SEARCH', ...CALLS];

/** Root on a domain controller: samba-tool takes Samba's locks, and sets owners and permissions in its copy. */
const DC = ['CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_CHOWN CAP_SETUID CAP_SETGID CAP_SYS_ADMIN'];

/** Where root has to be the one that runs, and what it may. */
const ROOTS: Readonly<Record<Host, readonly string[]>> = { server: READER, dc: DC, files: READER };

/** The servers that a drill starts are programs of others, which may set owners and priorities: they are told no, and not killed for it. */
const REHEARSAL = [
  ...['ProtectProc=invisible', 'CapabilityBoundingSet=', 'AmbientCapabilities='],
  ...['SystemCallFilter=@system-service', 'SystemCallErrorNumber=EPERM'],
];

/** A domain controller comes up in a network namespace of its own, where it has its fixed ports. */
const REHEARSAL_OF_DC = [`${DC[0]} CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_KILL`];

type Trade = Pick<Job, 'verb' | 'kind' | 'entry' | 'source'>;

const isDrillOfDc = ({ verb, kind }: Trade): boolean => verb === 'drill' && kind === 'samba';

/** Whether a job needs root: only what reads the files of the host itself does, and a DC that is started apart. */
export const needsRoot = (job: Trade): boolean => isDrillOfDc(job) || (job.source && hostOf(job.kind, job.entry) !== undefined);

/** What lies at home is read, where it is to be stored. */
const homes = ({ kind, entry }: Trade): string[] => {
  const paths = kind === 'volumes' ? ((entry['paths'] as string[] | undefined) ?? []) : [];
  return paths.some(path => /^\/(home|root|run\/user)(\/|$)/.test(path)) ? ['ProtectHome=read-only'] : ['ProtectHome=yes'];
};

/** Lines of a `[Service]` section that close what the job does not need. */
export function hardening(job: Trade): string[] {
  const host = hostOf(job.kind, job.entry);
  const common = [...COMMON, ...homes(job)];
  if (isDrillOfDc(job)) return [...common.filter(line => line !== 'RestrictNamespaces=yes'), ...REHEARSAL_OF_DC];
  if (job.verb === 'drill') return [...common, ...REHEARSAL];
  return [...common, ...(needsRoot(job) && host ? ROOTS[host] : UNPRIVILEGED)];
}

/** Directories of the host that tools write to, beside stores and spool. */
export function toolPaths(job: Trade): string[] {
  if (!job.source || !needsRoot(job)) return [];
  if (job.kind === 'volumes') return job.entry['cache'] === undefined ? [] : [String(job.entry['cache'])];
  if (job.kind === 'samba') return ['/var/lib/samba', '/var/cache/samba', '/run/samba'];
  return (job.entry as TargetEntry)['flavor'] === 'etcd' ? [] : [String((job.entry['k3s'] as { dataDir: string }).dataDir)];
}
